import { Server as TcpServer, type Socket } from 'node:net'
import { setImmediate as nextTurn, setTimeout as delay } from 'node:timers/promises'
import type { FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { ClosingError } from '../lib/errors.ts'
import { createNumberTable } from '../lib/number-table.ts'

const kNumber = Symbol('number')

declare module 'fastify' {
  interface FastifyInstance {
    /** True as soon as the service has been told to end. */
    readonly isClosing: boolean
  }
  interface FastifyRequest {
    /** By which the request is found among those that run. */
    [kNumber]: number
  }
}

/** How long what is broken off may take to be answered, and an answer to leave, before connections are cut (ms). */
const lingerMs = 2_000

/** How long a connection on which nothing is requested may hold up the end (ms). */
const quietMs = 5_000

/** How long no request may arrive before a connection without one is taken for unused (ms). */
const unusedMs = 250

/** How long requests may go on to arrive on open connections (ms). */
const drainMs = 5_000

/** How often the end looks whether something is still under way (ms). */
const lookEveryMs = 100

/**
 * Edge phase: ends the service without a caller who gets no answer.
 *
 * Each connection is closed after its answer. Otherwise a keep-alive connection that was busy when closing began would
 * delay the end until it times out, more than a minute later. A stream of events has told its caller before that the
 * connection stays open; it is closed a moment after the last event.
 *
 * Idle connections stay open for a moment: a proxy may have sent a request on one, and will hear of the end by its
 * answer.
 *
 * Requests that outlast MCP_CLOSE_GRACE are broken off, and answered so. Connections on which nothing was requested
 * never count. When an answer could not be delivered, close() rejects, and so the process ends with exit code 1.
 */
export default fp(async (fastify) => {
  const { closeGraceMs } = fastify.config
  const running = createNumberTable<{ request: FastifyRequest, reply: FastifyReply }>()
  let lastNumber = 0
  const connections = new Set<Socket>()
  let requestedAt = 0
  let isClosing = false
  let lost: string[] = []
  let timer: NodeJS.Timeout | undefined

  fastify.decorateRequest(kNumber, 0)
  fastify.decorate('isClosing', { getter: () => isClosing })

  fastify.server.on('connection', (socket: Socket) => {
    connections.add(socket)
    socket.once('close', () => connections.delete(socket))
  })
  fastify.addHook('onRequest', (request, reply, done) => {
    running.set(request[kNumber] = ++lastNumber, { request, reply })
    requestedAt = performance.now()
    done()
  })
  fastify.onRequestEnd(({ request, reply }) => {
    running.delete(request[kNumber])
    if (!isClosing) return
    const { socket } = request.raw
    if (reply.getHeader('connection') === 'close') return closeIdle(socket)
    // This caller was told that the connection stays open. A proxy may be sending its next request on it.
    setTimeout(() => closeIdle(socket), unusedMs)
  })
  fastify.addHook('onSend', (request, reply, payload, done) => {
    if (isClosing) reply.header('connection', 'close')
    done()
  })

  /** A caller who has left waits for nothing. Node does not end answers that stood in line behind the one it wrote. */
  function forgetLeft (): void {
    for (const { request } of running.values()) {
      if (request.raw.socket.destroyed) running.delete(request[kNumber])
    }
  }

  /** Closes a connection that has no other request under way: a caller may send several at once. */
  function closeIdle (socket: Socket): void {
    for (const { request } of running.values()) if (request.raw.socket === socket) return
    socket.destroySoon?.() // inject has none
  }

  function breakOff (): void {
    for (const { request, reply } of running.values()) {
      if (reply.raw.writableEnded || request.isAnswerOut) continue
      request.log.warn({ route: request.routeOptions.url }, 'request broken off: the grace is over')
      request.interrupt(new ClosingError())
      // One whose body is still on its way waits for nothing that an abort could end. A request of this process to
      // itself has no body on its way: its answer must be that of its call.
      if (request.raw.complete === false && !reply.sent) reply.send(new ClosingError())
    }
  }

  function cut (): void {
    clearInterval(timer)
    forgetLeft()
    const requests = running.values().map(({ request }) => request)
    lost = requests
      .filter(({ isAnswerOut }) => !isAnswerOut)
      .map(({ method, routeOptions: { url } }) => `${method} ${url}`)
    for (const { raw } of requests) raw.socket.destroy()
    fastify.server.closeAllConnections()
  }

  /** The steps of the end. Each is taken only while something holds up the one before. */
  function watchEnd (): void {
    const startedAt = performance.now()
    let quietSince = startedAt
    let isBrokenOff = false
    timer = setInterval(() => {
      const now = performance.now()
      forgetLeft()
      if (running.size() > 0) quietSince = now
      if (!isBrokenOff && now - startedAt >= closeGraceMs) {
        isBrokenOff = true
        breakOff()
      }
      // Half a request line, for example, that is never completed.
      const isQuiet = now - quietSince >= quietMs
      if (isQuiet || now - startedAt >= closeGraceMs + lingerMs) cut()
    }, Math.min(lookEveryMs, closeGraceMs))
  }

  /** Whether an answer is on its way that was written to its end, and that the caller has not read to its end. */
  function isLeaving (): boolean {
    return running.values().some(({ reply: { raw } }) => raw.writableEnded && !raw.writableFinished)
  }

  function hasIdleConnection (): boolean {
    const busy = new Set(running.values().map(({ request }) => request.raw.socket))
    return [...connections].some(socket => !busy.has(socket))
  }

  /**
   * Lets a proxy use up the connections that it keeps: each is closed after its next answer, and new ones are refused.
   * A connection that is closed just as a request is sent on it loses that request, and a proxy may not repeat a POST.
   */
  async function drain (): Promise<void> {
    const startedAt = performance.now()
    const endsAt = startedAt + Math.min(drainMs, closeGraceMs)
    while (performance.now() < endsAt && hasIdleConnection()) {
      if (performance.now() - Math.max(startedAt, requestedAt) >= unusedMs) break
      await delay(unusedMs / 10)
    }
    await nextTurn() // reads what has arrived
    // Node would wait for a first request on these.
    for (const socket of connections) if (socket.bytesRead === 0) socket.destroySoon()
  }

  fastify.addHook('preClose', async () => {
    isClosing = true
    watchEnd()
    if (!fastify.server.listening) return
    // Connections that the system has made already are accepted first. It resets those that are left.
    await nextTurn()
    await nextTurn()
    // Node's http server takes a connection for idle whose answer has still to leave, and cuts it when it closes. So at
    // first it only stops to listen, as any server does.
    TcpServer.prototype.close.call(fastify.server)
    await drain()
    while (isLeaving()) await delay(lookEveryMs)
  })
  fastify.addHook('onClose', async () => {
    clearInterval(timer)
    if (lost.length === 0) return
    fastify.log.error({ requests: lost.slice(0, 20), count: lost.length }, 'answers were lost at the end')
    throw new Error(`answers were lost at the end: ${lost.join(', ')}`)
  })
}, { name: 'closing', dependencies: ['config', 'request-end', 'caller-signal'] })
