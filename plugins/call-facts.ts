import fp from 'fastify-plugin'
import { nameList } from '../lib/http/name-list.ts'
import type { PreparedCall } from '../lib/tools/prepare-call.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** Says before a call is made which arguments are not the caller's, and which do not fit. */
    noteArguments: (call: PreparedCall, note: (name: string, value: string) => void) => void
    /** Says that a schema cannot be used, in the log of the request that found it out. */
    noteUnusableSchema: (reason: string) => void
  }
}

/** Longest list of names in a header (characters). */
const maxListLength = 1_024

/** Operations phase: tells callers and operators of a call's arguments. */
export default fp(async (fastify) => {
  fastify.decorateRequest('noteArguments', function ({ exposedName, tool, filled, faults }, note) {
    if (filled.length > 0) note('x-mcp-injected', nameList(filled.map(({ name }) => name), maxListLength))
    if (faults.length === 0) return
    const pointers = faults.map(({ pointer }) => pointer)
    note('x-mcp-unfit-arguments', nameList(pointers, maxListLength))
    const line = { tool: exposedName, server: tool.server, pointers, rules: faults.map(({ message }) => message) }
    this.log.warn(line, 'arguments do not fit the input schema of their tool')
  })

  fastify.decorateRequest('noteUnusableSchema', function (reason) {
    this.log.warn({ reason }, 'arguments are not checked against an input schema')
  })
}, { name: 'call-facts' })
