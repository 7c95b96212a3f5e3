// From a PNG or JPEG file to the numbers that the model takes: the central square, scaled down, normalised by colour.

import jpeg from "jpeg-js";
import UPNG from "upng-js";
import { Refusal } from "../sdk/dunlin.js";

/** Height and width that the model takes. */
export const SIZE = 224;

// Decoders in JavaScript: the time grows with the pixels, so their number is bounded.
const MAX_PIXELS = 1 << 20;
const MAX_MEMORY_MB = 32;

// Mean and deviation of each colour, from 0 to 1, that the model was trained with.
const MEAN = [0.485, 0.456, 0.406];
const DEVIATION = [0.229, 0.224, 0.225];

const startsWith = (file, ...bytes) => bytes.every((byte, at) => file[at] === byte);

/** Width, height, and red, green, blue and something else of each pixel. */
function decode(file) {
  const isPng = startsWith(file, 0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a);
  if (!isPng && !startsWith(file, 0xff, 0xd8, 0xff)) throw new Refusal(415, "the body is neither a PNG nor a JPEG picture");
  try {
    return isPng ? decodePng(file) : decodeJpeg(file);
  } catch (error) {
    if (error instanceof Refusal) throw error;
    throw new Refusal(400, `the picture is damaged: ${error?.message ?? error}`);
  }
}

const tooLarge = () => new Refusal(413, `the picture has more than ${MAX_PIXELS} pixels`);

function decodePng(file) {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  if (view.getUint32(16) * view.getUint32(20) > MAX_PIXELS) throw tooLarge();
  const buffer = file.buffer.slice(file.byteOffset, file.byteOffset + file.byteLength);
  const picture = UPNG.decode(buffer);
  const { width, height } = picture;
  if (!width || !height || !picture.data?.length) throw new Error("there are no pixels");
  return { width, height, data: new Uint8Array(UPNG.toRGBA8(picture)[0]) };
}

function decodeJpeg(file) {
  const limits = { maxResolutionInMP: MAX_PIXELS / 1e6, maxMemoryUsageInMB: MAX_MEMORY_MB };
  try {
    return jpeg.decode(file, { useTArray: true, tolerantDecoding: false, ...limits });
  } catch (error) {
    if (/limit exceeded/.test(error?.message)) throw tooLarge();
    throw error;
  }
}

/** For each line of the result the first line of the source that it is made of, and the weights from there on. */
function triangle(side) {
  const ratio = side / SIZE;
  const reach = Math.max(ratio, 1);
  return Array.from({ length: SIZE }, (_, at) => {
    const center = (at + 0.5) * ratio;
    const first = Math.max(Math.floor(center - reach), 0);
    const length = Math.min(Math.ceil(center + reach), side) - first;
    const weights = Float64Array.from({ length }, (_, i) => Math.max(1 - Math.abs(first + i + 0.5 - center) / reach, 0));
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    return { first, weights: weights.map((weight) => weight / total) };
  });
}

/** The central square scaled to SIZE x SIZE, red, green and blue interleaved; neighbours are averaged when it shrinks. */
function scaled({ width, height, data }) {
  const side = Math.min(width, height);
  const left = (width - side) >> 1;
  const top = (height - side) >> 1;
  const result = new Uint8Array(3 * SIZE * SIZE);
  // Even for a picture of the right size this gives the very same pixels, but those need no arithmetic.
  if (side === SIZE) {
    for (let at = 0, pixel = 0; pixel < SIZE * SIZE; pixel++) {
      const from = 4 * ((top + Math.floor(pixel / SIZE)) * width + left + (pixel % SIZE));
      result[at++] = data[from];
      result[at++] = data[from + 1];
      result[at++] = data[from + 2];
    }
    return result;
  }
  const windows = triangle(side);
  const wide = new Float64Array(4 * side);
  for (let y = 0, at = 0; y < SIZE; y++) {
    wide.fill(0);
    windows[y].weights.forEach((weight, i) => {
      const from = 4 * ((top + windows[y].first + i) * width + left);
      for (let x = 0; x < 4 * side; x++) wide[x] += weight * data[from + x];
    });
    for (let x = 0; x < SIZE; x++) {
      const { first, weights } = windows[x];
      for (let colour = 0; colour < 3; colour++) {
        let sum = 0;
        for (let i = 0; i < weights.length; i++) sum += weights[i] * wide[4 * (first + i) + colour];
        result[at++] = Math.round(sum);
      }
    }
  }
  return result;
}

/** Planes of red, green and blue, SIZE x SIZE each. */
export function tensor(file) {
  const pixels = scaled(decode(file));
  const plane = SIZE * SIZE;
  const numbers = new Float32Array(3 * plane);
  for (let colour = 0; colour < 3; colour++) {
    const level = Float32Array.from({ length: 256 }, (_, value) => (value / 255 - MEAN[colour]) / DEVIATION[colour]);
    for (let pixel = 0; pixel < plane; pixel++) numbers[colour * plane + pixel] = level[pixels[3 * pixel + colour]];
  }
  return numbers;
}
