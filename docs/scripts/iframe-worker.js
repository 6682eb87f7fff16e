// Browsers start no worker from a page that was opened as a file, so search would find nothing.
// There, and only there, the worker's script runs in an empty frame of the page instead.
if (location.protocol === "file:") {
  window.IFrameWorker = class extends EventTarget {
    constructor(url) {
      super();
      const frame = document.createElement("iframe");
      frame.hidden = true;
      document.body.append(frame);
      this.inner = frame.contentWindow;
      window.addEventListener("message", (event) => {
        if (event.source === this.inner)
          this.dispatchEvent(new MessageEvent("message", { data: event.data }));
      });
      const page = this.inner.document;
      page.open();
      page.write(
        "<script>postMessage = (data) => parent.dispatchEvent(new MessageEvent('message', " +
          "{ data, source: window }))</scr" + "ipt>" +
          `<script src="${url}"></scr` + "ipt>"
      );
      page.close();
    }

    postMessage(data) {
      const send = () => this.inner.dispatchEvent(new MessageEvent("message", { data }));
      if (this.inner.document.readyState === "complete") send();
      else this.inner.addEventListener("load", send, { once: true });
    }

    terminate() {
      this.inner.frameElement.remove();
    }
  };
  window.Worker = window.IFrameWorker;
}
