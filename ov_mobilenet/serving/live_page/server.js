// Requests to the server, with the token if there is one.

const KEY = "ov-mobilenet-token";
let kept = "";

export class ServerError extends Error {
  constructor(message, status, retryAfterS = 0) {
    super(message);
    this.status = status; // 0: the server cannot be reached
    this.retryAfterS = retryAfterS;
  }
}

export function token() {
  try {
    return sessionStorage.getItem(KEY) ?? kept;
  } catch {
    return kept; // storage is switched off
  }
}

export function setToken(value) {
  kept = value;
  try {
    sessionStorage.setItem(KEY, value);
  } catch {
    // kept in memory
  }
}

// The JSON of an answer. Throws ServerError, and AbortError if `options.signal` was used.
export async function ask(path, options = {}) {
  const headers = new Headers(options.headers);
  if (token()) headers.set("Authorization", `Bearer ${token()}`);
  try {
    const response = await fetch(path, { ...options, headers, cache: "no-store", credentials: "omit" });
    if (response.ok) return await response.json();
    throw new ServerError(await messageOf(response), response.status, Number(response.headers.get("Retry-After")) || 0);
  } catch (error) {
    if (error instanceof ServerError || error.name === "AbortError") throw error;
    throw new ServerError("The server cannot be reached.", 0);
  }
}

async function messageOf(response) {
  const text = await response.text();
  try {
    const message = JSON.parse(text).error;
    if (typeof message === "string" && message) return message;
  } catch {
    // not JSON: a proxy's answer
  }
  return `The server answered with status ${response.status}.`;
}
