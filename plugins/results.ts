import type { FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import type { JsonValue } from '../lib/json-text.ts'
import { type ResolvedArguments, resolveReferences } from '../lib/results/argument-references.ts'
import { describeReference } from '../lib/results/describe-reference.ts'
import { isFailure } from '../lib/results/failure.ts'
import type { ResultContent } from '../lib/results/result.ts'
import { createResults, type NotKept, type Results } from '../lib/results/result-store.ts'

/** Gives the reply that refers to a result, or the result itself where it is to be sent, or cannot be kept. */
export type Refer = (body: string | Buffer, content: () => ResultContent) => Promise<string | Buffer>

declare module 'fastify' {
  interface FastifyInstance {
    /** What sessions keep of their tools' results. */
    readonly results: Results
  }
  interface FastifyRequest {
    /**
     * Keeps results of this request where its caller wants that, or where they are too long to be sent. `null` where
     * none is kept.
     */
    referring: (wanted: boolean | undefined, note: (name: string, value: string) => void) => Refer | null
    /** Replaces references in the arguments of a call by what they stand for. `place` is where the arguments are. */
    resolveReferences: (params: JsonValue, place: string) => Promise<ResolvedArguments>
  }
}

/** Operations phase: keeps results for later requests of their session, and puts them into its calls. */
export default fp(async (fastify) => {
  const { redis: { commandTimeoutMs }, results: options, maxResultBytes, maxJsonDepth } = fastify.config
  const { inlineBytes } = options
  const results = createResults(fastify.redis, { ...options, commandTimeoutMs })
  fastify.decorate('results', results)

  fastify.decorateRequest('resolveReferences', async function (params, place) {
    const open = (ref: string) => results.open(this.session, ref)
    return await resolveReferences(params, { open, place, maxBytes: maxResultBytes, maxJsonDepth })
  })

  fastify.decorateRequest('referring', function (wanted, note) {
    if (wanted === false || (wanted === undefined && inlineBytes === 0)) return null
    return async (body, content) => {
      if (wanted === undefined && Buffer.byteLength(body) <= inlineBytes) return body
      // Who gets a reference would take the call for a success.
      if (isFailure(body)) return body
      const reply = await keep(this, content())
      if (typeof reply !== 'string') return reply.text
      note('x-mcp-not-referenced', reply)
      return body
    }
  })

  /** The tool has acted, so its result is sent when it cannot be kept: this gives the reason then. */
  async function keep (
    { session, log }: FastifyRequest, content: ResultContent
  ): Promise<{ text: string } | NotKept | 'store-unavailable'> {
    try {
      const answer = await results.keep(session, content)
      return 'refused' in answer ? answer.refused : { text: await describeReference(answer.kept, content) }
    } catch (err) {
      log.warn({ err }, 'a result could not be kept')
      return 'store-unavailable'
    }
  }
}, { name: 'results', dependencies: ['config', 'redis', 'session'] })
