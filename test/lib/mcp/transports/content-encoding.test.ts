import { PassThrough, Readable, type Transform } from 'node:stream'
import * as zlib from 'node:zlib'
import t from 'tap'
import { readText } from '../../../../lib/mcp/transports/body-reader.ts'
import { acceptEncoding, decodedBody } from '../../../../lib/mcp/transports/content-encoding.ts'

const text = `Zürich 🙂 ${'and so on, '.repeat(1_000)}`
const bytes = Buffer.from(text)

// Node has it from 22.15 on; the types are those of Node 20.
const { zstdCompressSync } = zlib as { zstdCompressSync?: (buffer: Buffer) => Buffer }

const encodings: Array<[name: string, body: Buffer]> = [
  ['gzip', zlib.gzipSync(bytes)],
  ['GZIP', zlib.gzipSync(bytes)],
  ['x-gzip', zlib.gzipSync(bytes)],
  ['gzip', Buffer.concat([zlib.gzipSync(bytes.subarray(0, 50)), zlib.gzipSync(bytes.subarray(50))])],
  ['br', zlib.brotliCompressSync(bytes)],
  ['deflate', zlib.deflateSync(bytes)],
  ['deflate', zlib.deflateRawSync(bytes)],
  ['deflate, gzip', zlib.gzipSync(zlib.deflateSync(bytes))],
  ['br, identity', zlib.brotliCompressSync(bytes)],
  ['identity', bytes],
  ['', bytes],
  ...(zstdCompressSync === undefined ? [] : [['zstd', zstdCompressSync(bytes)] as [string, Buffer]])
]

function inPieces (body: Buffer, size: number): Readable {
  const count = Math.ceil(body.length / size)
  return Readable.from(Array.from({ length: count }, (_, index) => body.subarray(index * size, (index + 1) * size)))
}

async function decode (encoding: string | string[], body: Readable, maxBytes = 100_000): Promise<string> {
  return await readText(await decodedBody({ headers: { 'content-encoding': encoding }, body }), maxBytes)
}

t.test('each encoding is decoded, however it is cut into pieces', async t => {
  for (const [name, body] of encodings) {
    for (const size of [1, 7, 100_000]) t.equal(await decode(name, inPieces(body, size)), text, `${name} ${size}`)
  }
  t.equal(await decode(['deflate', 'gzip'], inPieces(zlib.gzipSync(zlib.deflateSync(bytes)), 99)), text)
  t.equal(await readText(await decodedBody({ headers: {}, body: inPieces(bytes, 9) }), 100_000), text)
})

t.test('what is asked for can be decoded', async t => {
  for (const name of acceptEncoding.split(', ')) t.ok(encodings.some(([known]) => known === name), name)
  t.equal(acceptEncoding.includes('zstd'), zstdCompressSync !== undefined)
})

t.test('a part is there as soon as it came', async t => {
  const encoders: Array<[string, () => Transform & { flush: (kind: number, callback: () => void) => void }, number]> = [
    ['gzip', zlib.createGzip, zlib.constants.Z_SYNC_FLUSH],
    ['deflate', zlib.createDeflate, zlib.constants.Z_SYNC_FLUSH],
    ['deflate', zlib.createDeflateRaw, zlib.constants.Z_SYNC_FLUSH],
    ['br', zlib.createBrotliCompress, zlib.constants.BROTLI_OPERATION_FLUSH]
  ]
  for (const [name, createEncoder, kind] of encoders) {
    const encoder = createEncoder()
    const body = encoder.pipe(new PassThrough())
    encoder.write('data: first\n\n')
    encoder.flush(kind, () => {})
    const decoded = await decodedBody({ headers: { 'content-encoding': name }, body })
    const part = await new Promise(resolve => decoded.once('data', resolve))
    t.equal(String(part), 'data: first\n\n', name)
    decoded.destroy()
    encoder.destroy()
  }
})

t.test('a text that grows too long when it is decoded is cut off', async t => {
  const zeros = Buffer.alloc(50_000_000)
  for (const [name, bomb] of [
    ['gzip', zlib.gzipSync(zeros)],
    ['br', zlib.brotliCompressSync(zeros, { params: { [zlib.constants.BROTLI_PARAM_QUALITY]: 1 } })],
    ['deflate', zlib.deflateSync(zeros)],
    ['gzip, gzip', zlib.gzipSync(zlib.gzipSync(zeros))]
  ] as const) {
    const body = inPieces(bomb, 65_536)
    await t.rejects(decode(name, body), { name: 'BoundError', message: 'a message is longer than 100000 bytes (MCP_MAX_RESULT_BYTES)' }, name)
    t.ok(body.destroyed, `${name}: nothing more is read`)
  }
})

t.test('a text that was cut off is decoded as far as it goes', async t => {
  for (const [name, body] of [
    ['gzip', zlib.gzipSync(bytes)], ['deflate', zlib.deflateSync(bytes)], ['br', zlib.brotliCompressSync(bytes)]
  ] as const) {
    const part = await decode(name, inPieces(body.subarray(0, body.length - 4), 10))
    t.ok(text.startsWith(part) && part.length > 0, `${name}: ${part.length}`)
  }
})

t.test('what is not in its encoding, or in one that nobody asked for, breaks off', async t => {
  for (const name of ['gzip', 'deflate', 'br']) {
    await t.rejects(decode(name, inPieces(Buffer.from('\u0000 is none of them'.repeat(9)), 99)), {
      name: 'StreamEndedError', message: `its answer is not in the encoding ${name} that it names`
    }, name)
  }
  for (const name of ['compress', 'aes128gcm', 'gzip, compress', 'gzip, gzip, gzip']) {
    const body = inPieces(zlib.gzipSync(bytes), 99)
    await t.rejects(decode(name, body), {
      name: 'StreamEndedError', message: `it answered with the content encoding ${name}`
    })
    t.ok(body.destroyed)
  }
})

t.test('a text is taken as it is when its header names what is no encoding', async t => {
  for (const name of ['utf-8', 'none', 'binary, utf8']) t.equal(await decode(name, inPieces(bytes, 99)), text, name)
})

t.test('a body that is empty is so in every encoding', async t => {
  for (const name of ['utf-8', 'gzip', 'deflate', 'br', 'gzip, br']) {
    t.equal(await decode(name, Readable.from([])), '', name)
  }
})

t.test('a body that breaks off breaks what is decoded off', async t => {
  for (const name of ['gzip', 'br', 'deflate']) {
    const body = new Readable({ read () { this.destroy(new Error('other side closed')) } })
    await t.rejects(decode(name, body), Error, name)
  }
})
