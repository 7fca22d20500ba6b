import { once } from 'node:events'
import { pipeline, type Readable, type Transform } from 'node:stream'
import * as zlib from 'node:zlib'
import type { Reply } from './http-exchange.ts'
import { StreamEndedError } from './http-transport.ts'

/*
 * undici has an interceptor that decodes. It prints a warning of Node's at every start, takes deflate in one of its two
 * forms only, and stands in the way of each answer, encoded or not.
 */

/** A coded text that ends before its end is decoded as far as it goes, as browsers do it. */
const untilItEnds = { finishFlush: zlib.constants.Z_SYNC_FLUSH }

// Node has it from 22.15 on; the types are those of Node 20.
const { createZstdDecompress } = zlib as { createZstdDecompress?: () => Transform }

const decoders = new Map<string, (body: Readable) => Transform | Promise<Transform>>([
  ['gzip', () => zlib.createGunzip(untilItEnds)],
  ['x-gzip', () => zlib.createGunzip(untilItEnds)],
  ['deflate', async body => await isRawDeflate(body)
    ? zlib.createInflateRaw(untilItEnds)
    : zlib.createInflate(untilItEnds)],
  ['br', () => zlib.createBrotliDecompress({ finishFlush: zlib.constants.BROTLI_OPERATION_FLUSH })],
  ...(createZstdDecompress === undefined ? [] : [['zstd', () => createZstdDecompress()] as const])
])

/** The encodings that {@link decodedBody} takes, for a request. */
export const acceptEncoding = ['gzip', 'deflate', 'br', 'zstd'].filter(name => decoders.has(name)).join(', ')

/** Each encoding may make a thousand bytes of one. */
const maxEncodings = 2

/**
 * The body of a reply without its encoding. Whoever reads it bounds its size, as decoded. Rejects with
 * StreamEndedError for an encoding that was not asked for.
 */
export async function decodedBody ({ headers, body }: Pick<Reply, 'headers' | 'body'>): Promise<Readable> {
  const header = headers['content-encoding']
  if (header === undefined) return body
  const encodings = String(header).toLowerCase().split(',').map(name => name.trim())
    .filter(name => name !== '' && name !== 'identity')
  const isKnown = encodings.length <= maxEncodings && encodings.every(name => decoders.has(name))
  if (!isKnown) {
    body.destroy()
    throw new StreamEndedError(`it answered with the content encoding ${encodings.join(', ').slice(0, 100)}`)
  }
  let decoded = body
  for (const name of encodings.reverse()) {
    const decoder = await decoders.get(name)?.(decoded)
    // An error on either side reaches whoever reads the last stream of the chain.
    if (decoder !== undefined) decoded = pipeline(decoded, decoder, () => {}).on('error', () => {})
  }
  return decoded
}

/** RFC 9110 means the zlib format by `deflate`. Some servers send what is in it. */
async function isRawDeflate (body: Readable): Promise<boolean> {
  while (body.readableLength === 0 && !body.readableEnded && !body.destroyed) {
    // Whoever reads the body learns of its error.
    await Promise.race([once(body, 'readable'), once(body, 'end'), once(body, 'close')]).catch(() => {})
  }
  const start: Buffer | null = body.destroyed ? null : body.read()
  if (start === null) return false
  body.unshift(start)
  const [first = 0, second = 0] = start
  const isZlib = (first & 0x0f) === 8 && (start.length < 2 || (first * 256 + second) % 31 === 0)
  return !isZlib
}
