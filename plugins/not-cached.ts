import type { FastifyReply } from 'fastify'
import fp from 'fastify-plugin'

declare module 'fastify' {
  interface FastifyReply {
    /** Names the values of this request that were not cached, so that later calls are not filled with them. */
    notCached: (names: readonly string[]) => FastifyReply
  }
}

/** Clients and proxies refuse an answer whose headers are longer than a few kilobytes. */
const maxHeaderLength = 2_048

/** Edge phase: writes the header `X-MCP-Not-Cached`. */
export default fp(async (fastify) => {
  fastify.decorateReply('notCached', function (this: FastifyReply, names) {
    return names.length === 0 ? this : this.header('x-mcp-not-cached', asHeader(names))
  })
}, { name: 'not-cached' })

/** As many percent-encoded names as fit, then `...`. A lone surrogate has no encoding and becomes U+FFFD. */
function asHeader (names: readonly string[]): string {
  let text = ''
  for (const name of names) {
    // A name may be as long as a body.
    const encoded = encodeURIComponent(Buffer.from(name.slice(0, maxHeaderLength + 1)).toString())
    text += text === '' ? encoded : `, ${encoded}`
    if (text.length > maxHeaderLength) return `${text.slice(0, maxHeaderLength)}...`
  }
  return text
}
