import { once } from 'node:events'
import { pipeline, Readable, type Transform } from 'node:stream'
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
 * The body of a reply without its encoding. Its reader bounds its size, as decoded.
 *
 * Some servers name an encoding that is none (`utf-8`): a body that is text all the same is taken as it is. Rejects
 * with StreamEndedError for an encoding that was not asked for. The body breaks off with one when it is not in its
 * encoding.
 */
export async function decodedBody ({ headers, body }: Pick<Reply, 'headers' | 'body'>): Promise<Readable> {
  const header = headers['content-encoding']
  if (header === undefined) return body
  const encodings = String(header).toLowerCase().split(',').map(name => name.trim())
    .filter(name => name !== '' && name !== 'identity')
  // Some servers name the encoding of a body that they do not send.
  const start = await startOf(body)
  if (start === null) return body.errored === null ? Readable.from([]) : body
  const isKnown = encodings.length <= maxEncodings && encodings.every(name => decoders.has(name))
  if (!isKnown) {
    if (encodings.length <= maxEncodings && isText(start)) return body
    body.destroy()
    throw new StreamEndedError(`it answered with the content encoding ${encodings.join(', ').slice(0, 100)}`)
  }
  let decoded = body
  for (const name of encodings.reverse()) {
    const decoder = await decoders.get(name)?.(decoded)
    // An error on either side reaches whoever reads the last stream of the chain.
    if (decoder !== undefined) decoded = pipeline(decoded, explained(decoder, name), () => {}).on('error', () => {})
  }
  return decoded
}

/** A decoder that breaks off with an error that people understand. */
function explained (decoder: Transform, encoding: string): Transform {
  const destroy = decoder._destroy
  // A declaration, for the reason that createProtocolClient has.
  function destroyExplained (this: Transform, error: Error | null, callback: (error?: Error | null) => void): void {
    // zlib numbers its errors. Others are those of the connection.
    const isOfContent = error !== null && 'errno' in error && !('syscall' in error)
    const sentence = `its answer is not in the encoding ${encoding} that it names`
    destroy.call(this, isOfContent ? new StreamEndedError(sentence, { cause: error }) : error, callback)
  }
  decoder._destroy = destroyExplained
  return decoder
}

/** The first bytes of a body, which stay in it; `null` when it has none. */
async function startOf (body: Readable): Promise<Buffer | null> {
  while (body.readableLength === 0 && !body.readableEnded && !body.destroyed) {
    // The reader of the body learns of its error.
    await Promise.race([once(body, 'readable'), once(body, 'end'), once(body, 'close')]).catch(() => {})
  }
  const start: Buffer | null = body.destroyed ? null : body.read()
  if (start !== null) body.unshift(start)
  return start
}

/** Whether a body begins as a text does: what is compressed soon has a control character. */
function isText (start: Buffer): boolean {
  return start.subarray(0, 256).every(byte => byte >= 0x20 || (byte >= 0x09 && byte <= 0x0d))
}

/** RFC 9110 means the zlib format by `deflate`. Some servers send what is in it. */
async function isRawDeflate (body: Readable): Promise<boolean> {
  const start = await startOf(body)
  if (start === null) return false
  const [first = 0, second = 0] = start
  const isZlib = (first & 0x0f) === 8 && (start.length < 2 || (first * 256 + second) % 31 === 0)
  return !isZlib
}
