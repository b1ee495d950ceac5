/** Owns how a MIME bundle is shown: pictures as pictures, HTML stripped to harmless elements, everything else as text. */
import { element } from "./page.ts";

const IMAGES = ["image/png", "image/jpeg", "image/gif", "image/webp"];
/** Elements that show content and can do nothing. Everything else is dropped, its text kept, but for these: */
const HARMLESS = new Set(
  "a b blockquote br caption code col colgroup dd div dl dt em h1 h2 h3 h4 h5 h6 hr i kbd li ol p pre s samp small span strong sub sup table tbody td tfoot th thead tr u ul var".split(
    " ",
  ),
);
const SILENT = new Set("script style template iframe object embed noscript title head math".split(" "));
const SPANS = ["colspan", "rowspan"];
const MAX_DEPTH = 64;
const BASE64 = /^[A-Za-z0-9+/=\s]*$/;

function copyHarmless(source: Node, target: Node, depth: number): void {
  for (const child of source.childNodes) {
    if (child.nodeType === Node.TEXT_NODE) {
      target.appendChild(document.createTextNode(child.nodeValue ?? ""));
      continue;
    }
    if (!(child instanceof Element) || depth > MAX_DEPTH) continue;
    const tag = child.localName;
    if (SILENT.has(tag)) continue;
    if (!HARMLESS.has(tag)) {
      copyHarmless(child, target, depth + 1);
      continue;
    }
    const made = document.createElement(tag);
    for (const name of SPANS) {
      const value = child.getAttribute(name);
      if (value !== null && /^\d{1,4}$/.test(value)) made.setAttribute(name, value);
    }
    if (made instanceof HTMLAnchorElement && /^https?:\/\//i.test(child.getAttribute("href") ?? "")) {
      made.href = child.getAttribute("href") ?? "";
      made.rel = "noopener noreferrer nofollow";
      made.target = "_blank";
    }
    copyHarmless(child, made, depth + 1);
    target.appendChild(made);
  }
}

/** The harmless part of some HTML: no script, no style, no address that is asked by itself. */
export function harmlessHtml(html: string): HTMLElement {
  const root = element("div", "html");
  copyHarmless(new DOMParser().parseFromString(html, "text/html").body, root, 0);
  return root;
}

function picture(type: string, data: string, alternative: string): HTMLElement {
  const image = element("img", "picture");
  image.alt = alternative;
  image.src = `data:${type};base64,${data.replace(/\s/g, "")}`;
  return image;
}

function base64OfText(text: string): string {
  return btoa(Array.from(new TextEncoder().encode(text), (byte) => String.fromCharCode(byte)).join(""));
}

/** The best of a bundle that this page can show. */
export function richElement(bundle: Readonly<Record<string, string>>): HTMLElement {
  const plain = bundle["text/plain"] ?? "";
  for (const type of IMAGES) {
    const data = bundle[type];
    if (data !== undefined && BASE64.test(data)) return picture(type, data, plain);
  }
  // In an <img> an SVG can neither run scripts nor fetch anything.
  const svg = bundle["image/svg+xml"];
  if (svg !== undefined) return picture("image/svg+xml", base64OfText(svg), plain);
  const html = bundle["text/html"];
  if (html !== undefined) return harmlessHtml(html);
  const text = bundle["text/markdown"] ?? bundle["application/json"] ?? bundle["text/plain"];
  return element("pre", "value", text ?? Object.keys(bundle).join(", "));
}
