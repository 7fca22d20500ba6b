import type { FastifyReply } from 'fastify'
import fp from 'fastify-plugin'

declare module 'fastify' {
  interface FastifyReply {
    /** Tells of values that later calls will not be filled with, although this request brought them. */
    notCached: (names: readonly string[]) => FastifyReply
  }
}

/** Clients and proxies refuse an answer whose headers are longer than a few kilobytes. */
const maxHeaderLength = 2_048

/** The header `X-MCP-Not-Cached`. */
export default fp(async (fastify) => {
  fastify.decorateReply('notCached', function (this: FastifyReply, names) {
    return names.length === 0 ? this : this.header('x-mcp-not-cached', asHeader(names))
  })
}, { name: 'not-cached' })

/** Names, percent-encoded, as many as fit; `...` stands for the rest. A lone surrogate, which has no encoding, becomes U+FFFD. */
function asHeader (names: readonly string[]): string {
  const text = names.map(name => encodeURIComponent(Buffer.from(name).toString())).join(', ')
  return text.length <= maxHeaderLength ? text : `${text.slice(0, maxHeaderLength)}...`
}
