/** How many tokens an image or a document takes, about: from its first bytes, or from its size. */

/** A larger image is made smaller by the API before the model sees it. */
const MAX_EDGE = 1_568;
const MAX_IMAGE_TOKENS = 1_600;
const PIXELS_PER_TOKEN = 750;

/** A page is read as a text and as an image. */
const PAGE_TOKENS = 3_000;
/** Where a document does not say how many pages it has. */
const PAGE_BYTES = 50_000;
const MAX_PAGES = 1_000;

/** Tokens of an image of which `start` are the first bytes. */
export function imageTokens(start: Uint8Array): number {
  const size = imageSize(start);
  if (!size) return MAX_IMAGE_TOKENS;
  const scale = Math.min(1, MAX_EDGE / Math.max(size.width, size.height));
  const tokens = Math.ceil((size.width * size.height * scale * scale) / PIXELS_PER_TOKEN);
  return Math.min(MAX_IMAGE_TOKENS, Math.max(1, tokens));
}

/** Tokens of a PDF of `bytes` bytes. `parts` are some of them, where it may say its pages. */
export function documentTokens(bytes: number, parts: readonly Uint8Array[]): number {
  const counts = parts
    .flatMap((part) => [...latin1.decode(part).matchAll(/\/Count\s+(\d{1,6})/g)])
    .map(([, count]) => Number(count));
  // Of a tree of pages, its root has the greatest.
  const told = Math.max(0, ...counts);
  const pages = told > 0 && told <= MAX_PAGES ? told : Math.ceil(bytes / PAGE_BYTES);
  return Math.max(1, Math.min(pages, MAX_PAGES)) * PAGE_TOKENS;
}

const latin1 = new TextDecoder("latin1");

interface Size {
  width: number;
  height: number;
}

/** Width and height in pixels as the header says them; null where it does not. */
export function imageSize(start: Uint8Array): Size | null {
  const view = new DataView(start.buffer, start.byteOffset, start.byteLength);
  try {
    const size = sizeIn(view);
    return size && size.width > 0 && size.height > 0 ? size : null;
  } catch {
    // The header is cut.
    return null;
  }
}

function sizeIn(view: DataView): Size | null {
  if (view.getUint32(0) === 0x89504e47) {
    return { width: view.getUint32(16), height: view.getUint32(20) };
  }
  if (view.getUint32(0) === 0x47494638) {
    return { width: view.getUint16(6, true), height: view.getUint16(8, true) };
  }
  if (view.getUint16(0) === 0xffd8) return jpegSize(view);
  if (view.getUint32(0) === 0x52494646) return webpSize(view);
  return null;
}

/** The frame header comes behind any number of other segments, each with its length. */
function jpegSize(view: DataView): Size | null {
  for (let at = 2; at + 9 <= view.byteLength; at += 2 + view.getUint16(at + 2)) {
    const marker = view.getUint16(at);
    if (marker < 0xffc0 || marker > 0xfffe) return null;
    const isFrame = marker <= 0xffcf && ![0xffc4, 0xffc8, 0xffcc].includes(marker);
    if (isFrame) return { width: view.getUint16(at + 7), height: view.getUint16(at + 5) };
  }
  return null;
}

function webpSize(view: DataView): Size | null {
  const threeBytes = (at: number) => view.getUint16(at, true) | (view.getUint8(at + 2) << 16);
  switch (view.getUint32(12)) {
    case 0x56503858:
      return { width: threeBytes(24) + 1, height: threeBytes(27) + 1 };
    case 0x5650384c: {
      const bits = view.getUint32(21, true);
      return { width: (bits & 0x3fff) + 1, height: ((bits >>> 14) & 0x3fff) + 1 };
    }
    case 0x56503820:
      return {
        width: view.getUint16(26, true) & 0x3fff,
        height: view.getUint16(28, true) & 0x3fff,
      };
    default:
      return null;
  }
}
