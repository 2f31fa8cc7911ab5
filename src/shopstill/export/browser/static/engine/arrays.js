// Named arrays of a safetensors file.

const KINDS = { F64: Float64Array, F32: Float32Array, I8: Int8Array, U8: Uint8Array, U16: Uint16Array, U32: Uint32Array, I32: Int32Array };

/** The content of a file in gzip; a host may have unpacked it already. */
export async function unpacked(buffer) {
  const [one, two] = new Uint8Array(buffer, 0, 2);
  if (one !== 0x1f || two !== 0x8b) return buffer;
  return new Response(new Blob([buffer]).stream().pipeThrough(new DecompressionStream("gzip"))).arrayBuffer();
}

/**
 * @param {ArrayBuffer} buffer a safetensors file
 * @returns {Map<string, {values: ArrayBufferView, shape: number[]}>}
 */
export function arrays(buffer) {
  const length = Number(new DataView(buffer).getBigUint64(0, true));
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 8, length)));
  const found = new Map();
  for (const [name, stated] of Object.entries(header)) {
    if (name === "__metadata__") continue;
    const [from, to] = stated.data_offsets.map((offset) => offset + 8 + length);
    const kind = KINDS[stated.dtype];
    const aligned = from % kind.BYTES_PER_ELEMENT === 0;
    const values = aligned
      ? new kind(buffer, from, (to - from) / kind.BYTES_PER_ELEMENT)
      : new kind(buffer.slice(from, to));
    found.set(name, { values, shape: stated.shape });
  }
  return found;
}
