import { Socket } from 'node:net'
import fp from 'fastify-plugin'
import { endAfterBody } from '../lib/http/linger.ts'

/**
 * Edge phase: lets an answer reach a caller who is still sending its body.
 *
 * Node closes the connection as soon as the answer is written, where the caller has asked for that. What still arrives
 * is then answered by a reset, which the caller's system reports instead of the answer. So the answer is sent whole,
 * but is ended only when the body has ended, or a bounded amount of it was read and dropped.
 *
 * @see https://www.rfc-editor.org/rfc/rfc9112#section-9.6
 */
export default fp(async (fastify) => {
  fastify.addHook('onSend', (request, reply, payload, done) => {
    // Fastify closes the connection after a body with a fault; after one that was read to its end nothing needs it.
    if (request.raw.complete && !fastify.isClosing) reply.removeHeader('connection')
    const isWhole = typeof payload === 'string' || Buffer.isBuffer(payload)
    if (request.raw.complete || !isWhole || !(request.raw.socket instanceof Socket)) return done(null, payload)
    reply.header('content-length', Buffer.byteLength(payload))
    request.isAnswerOut = true
    done(null, endAfterBody(request.raw, reply.raw, payload))
  })
}, {
  name: 'early-answers',
  dependencies: [
    'request-end', 'closing',
    'errors', 'after-response' // order: what is deferred starts when the answer is out, and not when it is ended
  ]
})
