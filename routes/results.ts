import { Readable } from 'node:stream'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyReply, FastifyRequest } from 'fastify'
import Type from 'typebox'
import { InvalidFieldError, ResultRangeError, UnknownResultError } from '../lib/errors.ts'
import { readRange } from '../lib/http/byte-range.ts'
import { isKnownToCaller } from '../lib/http/etag.ts'
import { isShown } from '../lib/http/media-type.ts'
import { errorResponses, jsonType, SessionHeaderSchema } from '../lib/http/schemas.ts'
import { checkPointer } from '../lib/results/argument-references.ts'
import type { StoredResult } from '../lib/results/result-store.ts'
import { select, type Selection } from '../lib/results/selection.ts'

const ParamsSchema = Type.Object({ ref: Type.String({ description: 'Reference of the result: `r_…`.' }) })

const number = (description: string) => Type.Optional(Type.String({
  pattern: '^[0-9]{1,9}$', title: 'a number from 0 to 999999999', description
}))

const QuerySchema = Type.Object({
  pointer: Type.Optional(Type.String({
    title: 'a JSON Pointer', description: 'JSON Pointer (RFC 6901) to the value that is wanted: `/rows/0`.'
  })),
  fields: Type.Optional(Type.Union([Type.String(), Type.Array(Type.String())], {
    title: 'JSON Pointers',
    description: 'Parts of the value, which alone are wanted: JSON Pointers with commas between, in which `*` stands ' +
      'for each member or item: `/items/*/id`.'
  })),
  offset: number('The first item of the value that is wanted, from 0. The value is an array.'),
  limit: number('How many of its items are wanted.')
})

type Query = Record<'pointer' | 'offset' | 'limit', string | undefined> & { fields?: string | string[] }

/** Each costs work for each member of a result. */
const mostFields = 32

const partNames = ['pointer', 'fields', 'offset', 'limit'] as const

/** Reads the results that a session keeps. The result of another session is an unknown one. */
export default (async (fastify) => {
  const { results } = fastify

  async function send (request: FastifyRequest, reply: FastifyReply) {
    const query = request.query as Query
    const selection = selectionOf(query)
    const result = await results.open(request.session, (request.params as { ref: string }).ref)
    if (result === null) throw new UnknownResultError('')
    if (partNames.some(name => query[name] !== undefined)) return await sendPart(request, reply, result, selection)
    return await sendBytes(request, reply, result)
  }

  fastify.get('/results/:ref', {
    // The service answers HEAD itself: a part of a result is read to know its length.
    exposeHeadRoute: false,
    config: { session: true },
    schema: {
      tags: ['tools'],
      operationId: 'readResult',
      summary: 'Read a result',
      description: 'Gives the result that a reference stands for, or a part of it, unaltered. `Range` gives a part ' +
        'of the whole.',
      headers: SessionHeaderSchema,
      params: ParamsSchema,
      querystring: QuerySchema,
      response: {
        200: anyContent('The result, with the type that it has, or the part of it.'),
        206: anyContent('The bytes that `Range` names.'),
        304: Type.Null({ description: 'The caller has the result: `If-None-Match` names its tag.' }),
        ...errorResponses({
          400: 'A header or a part of the query is wrong.',
          404: 'The session has no such result, or it has nothing at the pointer.',
          409: 'There is no such session.',
          416: 'The result has no bytes where `Range` begins.',
          503: 'Redis does not answer.'
        })
      }
    }
  }, send)

  fastify.head('/results/:ref', {
    config: { session: true },
    schema: { hide: true, params: ParamsSchema, querystring: QuerySchema }
  }, send)
}) satisfies FastifyPluginAsyncTypebox

/** An answer of any type: its bytes are sent as they are. */
function anyContent (description: string) {
  return { description, content: { '*/*': { schema: Type.Unsafe<unknown>({}) } } }
}

function selectionOf ({ pointer, fields, offset, limit }: Query): Selection {
  const listed = fields === undefined ? undefined : [fields].flat().flatMap(text => text.split(/,(?=\/)/))
  if (listed !== undefined && listed.length > mostFields) {
    throw new InvalidFieldError('fields', `at most ${mostFields} JSON Pointers`)
  }
  return {
    pointer: pointer === undefined ? undefined : checkPointer('pointer', pointer),
    fields: listed?.map(field => checkPointer('fields', field)),
    offset: offset === undefined ? undefined : Number(offset),
    limit: limit === undefined ? undefined : Number(limit)
  }
}

const sandbox = "default-src 'none'; sandbox"

/**
 * What a server calls its result must not make a browser run it: one that a browser would run is to be saved, and is in
 * a sandbox all the same.
 */
function describeType (reply: FastifyReply, { kind, type }: StoredResult): void {
  const mimeType = kind === 'json' && !type.includes('/') ? 'application/json' : type
  const hasCharset = kind === 'text' || mimeType === 'application/json'
  reply.header('content-security-policy', sandbox)
  if (!isShown(mimeType)) reply.header('content-disposition', 'attachment')
  reply.type(hasCharset ? `${mimeType}; charset=utf-8` : mimeType)
}

/** A part has no `Range`, which RFC 9110 lets a server ignore. */
async function sendPart (request: FastifyRequest, reply: FastifyReply, result: StoredResult, selection: Selection) {
  const { read, itemCount } = await select(result, selection)
  if (itemCount !== null) reply.header('x-mcp-items', String(itemCount))
  reply.type(jsonType).header('content-security-policy', sandbox)
  if (request.method === 'HEAD') return reply.send()
  return await sendPieces(reply, read())
}

async function sendBytes (request: FastifyRequest, reply: FastifyReply, result: StoredResult) {
  const { bytes, ref } = result
  const { headers, method } = request
  const etag = `"${ref}"`
  reply.headers({ etag, 'accept-ranges': 'bytes' })
  if (isKnownToCaller(headers['if-none-match'], etag)) return reply.code(304).send()
  const isCurrent = headers['if-range'] === undefined || headers['if-range'] === etag
  const range = method === 'GET' && isCurrent ? readRange(headers.range, bytes) : null
  if (range === 'unsatisfiable') {
    reply.header('content-range', `bytes */${bytes}`)
    throw new ResultRangeError(bytes)
  }
  describeType(reply, result)
  const { start, end } = range ?? { start: 0, end: bytes }
  if (range !== null) reply.code(206).header('content-range', `bytes ${start}-${end - 1}/${bytes}`)
  reply.header('content-length', String(end - start))
  if (method === 'HEAD') return reply.send()
  return await sendPieces(reply, result.read(start, end))
}

/** Sends a piece as it is read. The first one is read before the answer begins: what fails until then has a status. */
async function sendPieces (reply: FastifyReply, pieces: AsyncIterable<Buffer>) {
  const iterator = pieces[Symbol.asyncIterator]()
  const first = await iterator.next()
  const second = first.done === true ? first : await iterator.next()
  const start = first.done === true ? Buffer.alloc(0) : first.value
  if (second.done === true) return reply.send(start)
  async function * all () {
    yield start
    yield second.value as Buffer
    yield * { [Symbol.asyncIterator]: () => iterator }
  }
  return reply.send(Readable.from(all(), { objectMode: false }))
}
