import fp from 'fastify-plugin'
import { Agent } from 'undici'
import { InvalidFieldError } from '../lib/errors.ts'
import { createAwaitCommand } from '../lib/redis/command.ts'
import { sessionKey } from '../lib/sessions/session-ref.ts'
import { packageName, version } from '../lib/version.ts'
import { createDueNotices, type WatchedCall } from '../lib/webhooks/due-notices.ts'
import { createNotifier, type NotTaken } from '../lib/webhooks/notifier.ts'
import { readReceiversFile, type Receivers } from '../lib/webhooks/receivers-file.ts'
import { sendNotice } from '../lib/webhooks/send-notice.ts'

declare module 'fastify' {
  interface FastifyInstance {
    readonly webhooks: {
      /** Throws InvalidFieldError for a name that the operator's file does not have. */
      checkReceiver: (name: string) => void
      /** Lets the end of a call be told. Rejects with StoreUnavailableError. */
      watch: (call: WatchedCall) => Promise<void>
      /** A watched call is over, or waits for responses. Never rejects. */
      hasEnded: (call: WatchedCall) => Promise<void>
    }
  }
}

const lookEveryMs = 1_000

/** Operations phase: tells the receivers of the operator's file of calls that are over. */
export default fp(async (fastify) => {
  const { calls, config } = fastify
  const { session: { keyPrefix }, redis: { commandTimeoutMs }, calls: { isAsync }, notifyFile, isDescribed } = config
  let receivers: Receivers = notifyFile === undefined || isDescribed ? new Map() : readReceiversFile(notifyFile)

  function checkReceiver (name: string): void {
    if (!receivers.has(name)) throw new InvalidFieldError('notify', 'the name of a receiver of this service')
  }

  if (!isAsync || notifyFile === undefined || isDescribed) {
    const nothing = async () => {}
    fastify.decorate('webhooks', { checkReceiver, watch: nothing, hasEnded: nothing })
    return
  }

  const dispatcher = new Agent({ connections: 8, pipelining: 1, connect: { timeout: 5_000 } })
  const inTime = createAwaitCommand(commandTimeoutMs)
  const notifier = createNotifier({
    due: createDueNotices(fastify.redis, `mcp_notices:${keyPrefix}`, inTime),
    receiverOf: name => receivers.get(name),
    headOf: async ({ session: id, client, call }) => await calls.peek(sessionKey(keyPrefix, { id, client }), call),
    send: (receiver, notice) => sendNotice(receiver, notice, { dispatcher, userAgent: `${packageName}/${version}` }),
    onNotTaken ({ call, receiver, failures }, reason, nextMs) {
      const line = { call, receiver, ...factsOf(reason) }
      if (nextMs === null) fastify.log.warn(line, 'a notice is given up')
      else fastify.log.warn({ ...line, failures: failures + 1, nextMs }, 'a notice was not taken, and is sent again')
    }
  })
  fastify.decorate('webhooks', { checkReceiver, watch: notifier.watch, hasEnded: notifier.hasEnded })

  function reload (): void {
    try {
      receivers = readReceiversFile(notifyFile ?? '')
      fastify.log.info({ receivers: [...receivers.keys()] }, 'receivers read again')
    } catch (err) {
      fastify.log.error({ err }, 'the file of receivers cannot be used, they stay as they are')
    }
  }

  fastify.onReload(reload)
  const timer = setInterval(notifier.look, lookEveryMs)
  fastify.addHook('onClose', async () => {
    clearInterval(timer)
    notifier.stop()
    await notifier.settled()
    await dispatcher.destroy()
  })
}, { name: 'webhooks', dependencies: ['config', 'redis', 'reload'] })

function factsOf (reason: NotTaken): Record<string, unknown> {
  if (reason.outcome === 'unreachable') return { why: reason.outcome, err: reason.error }
  return reason.outcome === 'refused' ? { why: reason.outcome, status: reason.status } : { why: reason.outcome }
}
