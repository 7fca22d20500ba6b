import { Socket } from 'node:net'
import fp from 'fastify-plugin'

/**
 * Edge phase: ends the connection of a caller who does not read the answer.
 *
 * Node's own timer of the socket tells whether the caller has taken a byte since. It also runs while there is nothing
 * to send, as in a stream of events, and then is set anew.
 */
export default fp(async (fastify) => {
  const { writeTimeoutMs } = fastify.config

  fastify.addHook('onSend', (request, { raw }, payload, done) => {
    const { socket } = request.raw
    if (socket instanceof Socket) {
      raw.setTimeout(writeTimeoutMs, () => {
        if (socket.writableLength === 0) return socket.setTimeout(writeTimeoutMs)
        request.log.info({ unsentBytes: socket.writableLength }, 'nobody reads the answer: its connection is ended')
        socket.destroy()
      })
    }
    done()
  })
}, { name: 'write-timeout', dependencies: ['config'] })
