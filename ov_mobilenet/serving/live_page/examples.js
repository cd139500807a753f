// Programs to copy, for one model of this server.

export function exampleOf(client, model, origin, needsToken) {
  return { curl: curlExample, python: pythonExample, tritonclient: tritonExample }[client](model, origin, needsToken);
}

// JSON's texts are Python's too.
const quoted = (text) => JSON.stringify(text);

function inUrl(text) {
  return encodeURIComponent(text).replace(/[!'()*]/g, (mark) => `%${mark.charCodeAt(0).toString(16)}`);
}

function curlExample(model, origin, needsToken) {
  const token = needsToken ? ` -H "Authorization: Bearer $TOKEN" \\\n ` : "";
  return (
    `curl${token} -H "Content-Type: image/jpeg" --data-binary @image.jpg \\\n` +
    `  "${origin}/v1/classify?model=${inUrl(model.name)}&top_k=5"\n`
  );
}

function pythonExample(model, origin, needsToken) {
  const token = needsToken ? `, "Authorization": "Bearer " + os.environ["TOKEN"]` : "";
  return `${needsToken ? "import os\n" : ""}from pathlib import Path

import requests

response = requests.post(
    ${quoted(`${origin}/v1/classify`)},
    params={"model": ${quoted(model.name)}, "top_k": 5},
    data=Path("image.jpg").read_bytes(),
    headers={"Content-Type": "image/jpeg"${token}},
    timeout=10,
)
response.raise_for_status()
for prediction in response.json()["predictions"]:
    print(f'{prediction["probability"]:.3f} {prediction["label"]}')
`;
}

function tritonExample(model, origin, needsToken) {
  const { host, protocol } = new URL(origin);
  const secure = protocol === "https:" ? ", ssl=True" : "";
  const headers = needsToken ? `headers={"Authorization": "Bearer " + os.environ["TOKEN"]}` : "";
  return `${needsToken ? "import os\n" : ""}from pathlib import Path

import numpy as np
import tritonclient.http as triton  # pip install "tritonclient[http]"

client = triton.InferenceServerClient(${quoted(host)}${secure})
image = triton.InferInput(${quoted(model.input)}, [1], "BYTES")
image.set_data_from_numpy(np.array([Path("image.jpg").read_bytes()], dtype=object))
output = triton.InferRequestedOutput(${quoted(model.output)}, class_count=5)
answer = client.infer(${quoted(model.name)}, [image], outputs=[output]${headers && `, ${headers}`})
for line in answer.as_numpy(${quoted(model.output)}).ravel():
    print(line.decode())  # probability:class:label
`;
}
