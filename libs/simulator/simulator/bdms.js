// The simulated site's SDK: after a delay it wraps fetch and XMLHttpRequest so that a
// submit leaves this page with msToken and a_bogus, a keyed hash the simulator verifies.
(() => {
  "use strict";
  const page = window.__page;
  const signed = "/mweb/v1/aigc_draft/generate";
  let counter = 0;

  const K = [];
  const H0 = [];
  for (let n = 2; K.length < 64; n++) {
    let prime = true;
    for (let d = 2; d * d <= n; d++) if (n % d === 0) prime = false;
    if (!prime) continue;
    const bits = (root) => ((root - Math.floor(root)) * 4294967296) | 0;
    if (H0.length < 8) H0.push(bits(Math.sqrt(n)));
    K.push(bits(Math.cbrt(n)));
  }

  const rotate = (x, n) => (x >>> n) | (x << (32 - n));

  function sha256(bytes) {
    const size = ((bytes.length + 8) >> 6) + 1;
    const padded = new Uint8Array(size * 64);
    padded.set(bytes);
    padded[bytes.length] = 0x80;
    const view = new DataView(padded.buffer);
    view.setUint32(padded.length - 8, Math.floor(bytes.length / 536870912));
    view.setUint32(padded.length - 4, bytes.length << 3);
    const h = H0.slice();
    for (let at = 0; at < padded.length; at += 64) block(view, at, h);
    const out = new Uint8Array(32);
    h.forEach((word, i) => new DataView(out.buffer).setUint32(i * 4, word));
    return out;
  }

  function block(view, at, h) {
    const w = [];
    for (let i = 0; i < 64; i++) w[i] = i < 16 ? view.getInt32(at + i * 4) : extend(w, i);
    let [a, b, c, d, e, f, g, k] = h;
    for (let i = 0; i < 64; i++) {
      const s1 = rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25);
      const t1 = (k + s1 + ((e & f) ^ (~e & g)) + K[i] + w[i]) | 0;
      const s0 = rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22);
      const t2 = (s0 + ((a & b) ^ (a & c) ^ (b & c))) | 0;
      [k, g, f, e, d, c, b, a] = [g, f, e, (d + t1) | 0, c, b, a, (t1 + t2) | 0];
    }
    [a, b, c, d, e, f, g, k].forEach((word, i) => { h[i] = (h[i] + word) | 0; });
  }

  function extend(w, i) {
    const s0 = rotate(w[i - 15], 7) ^ rotate(w[i - 15], 18) ^ (w[i - 15] >>> 3);
    const s1 = rotate(w[i - 2], 17) ^ rotate(w[i - 2], 19) ^ (w[i - 2] >>> 10);
    return (w[i - 16] + s0 + w[i - 7] + s1) | 0;
  }

  const utf8 = (text) => new TextEncoder().encode(text);
  const hex = (bytes) => Array.from(bytes, (b) => b.toString(16).padStart(2, "0")).join("");
  const join = (a, b) => { const c = new Uint8Array(a.length + b.length); c.set(a); c.set(b, a.length); return c; };

  function hmac(key, text) {
    const block = new Uint8Array(64);
    block.set(key.length > 64 ? sha256(utf8(key)) : utf8(key));
    const inner = sha256(join(block.map((b) => b ^ 0x36), utf8(text)));
    return hex(sha256(join(block.map((b) => b ^ 0x5c), inner)));
  }

  const cookie = (name) =>
    (document.cookie.split("; ").find((one) => one.startsWith(name + "=")) || "").slice(name.length + 1);

  function withSignature(address, body) {
    const url = new URL(address, location.href);
    if (url.origin !== location.origin || url.pathname !== signed) return address;
    url.searchParams.append("msToken", cookie("msToken"));
    const random = hex(crypto.getRandomValues(new Uint8Array(40)));
    const mark = (counter++).toString(16).padStart(8, "0") + random;
    const pairs = [...url.searchParams].map(([name, value]) => `${name}=${value}`).sort();
    const text = [pairs.join("&"), hex(sha256(utf8(body || ""))), mark].join("\n");
    url.searchParams.append("a_bogus", page.id + mark + hmac(page.key, text));
    return url.href;
  }

  function install() {
    const realFetch = window.fetch.bind(window);
    window.fetch = function fetch(input, options) {
      const address = input instanceof Request ? input.url : String(input);
      const body = options && typeof options.body === "string" ? options.body : "";
      if (input instanceof Request) return realFetch(input, options);
      return realFetch(withSignature(address, body), options);
    };
    const { open, send, setRequestHeader } = XMLHttpRequest.prototype;
    XMLHttpRequest.prototype.open = function (method, address, ...rest) {
      this.asked = { method, address: String(address), rest, headers: [] };
      return open.call(this, method, address, ...rest);
    };
    XMLHttpRequest.prototype.setRequestHeader = function (name, value) {
      this.asked.headers.push([name, value]);
      return setRequestHeader.call(this, name, value);
    };
    XMLHttpRequest.prototype.send = function (body) {
      const { method, address, rest, headers } = this.asked;
      const target = withSignature(address, typeof body === "string" ? body : "");
      if (target !== address) {
        open.call(this, method, target, ...rest);
        headers.forEach(([name, value]) => setRequestHeader.call(this, name, value));
      }
      return send.call(this, body);
    };
    window.bdms = { init() {} };
  }

  setTimeout(install, page.delay);
})();
