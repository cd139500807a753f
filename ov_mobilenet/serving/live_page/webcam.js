// The webcam: one frame after the other, each only when the one before is answered.

const MAX_SIDE = 640, QUALITY = 0.85;

export class Webcam {
  #stream = null;
  #canvas = document.createElement("canvas");

  constructor(video) {
    this.video = video;
  }

  get isOn() {
    return this.#stream !== null;
  }

  // Throws an Error with a text for the user.
  async start() {
    if (!navigator.mediaDevices) throw new Error("The browser allows the webcam only on localhost or with https.");
    try {
      this.#stream = await navigator.mediaDevices.getUserMedia({ video: { width: { ideal: 1280 } }, audio: false });
    } catch (error) {
      const reasons = {
        NotAllowedError: "The browser does not allow this page to use the webcam.",
        NotFoundError: "There is no webcam.",
        NotReadableError: "The webcam is used by another program.",
      };
      throw new Error(reasons[error.name] ?? `The webcam cannot be started: ${error.message}`);
    }
    this.video.srcObject = this.#stream;
    await this.video.play();
  }

  stop() {
    this.#stream?.getTracks().forEach((track) => track.stop());
    this.#stream = null;
    this.video.srcObject = null;
  }

  // The frame of now as a JPEG.
  async frame() {
    const { videoWidth, videoHeight } = this.video;
    const scale = Math.min(1, MAX_SIDE / Math.max(videoWidth, videoHeight));
    this.#canvas.width = Math.max(1, Math.round(videoWidth * scale));
    this.#canvas.height = Math.max(1, Math.round(videoHeight * scale));
    this.#canvas.getContext("2d").drawImage(this.video, 0, 0, this.#canvas.width, this.#canvas.height);
    return new Promise((resolve) => this.#canvas.toBlob(resolve, "image/jpeg", QUALITY));
  }
}
