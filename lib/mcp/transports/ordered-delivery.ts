import type { JSONRPCMessage } from '@modelcontextprotocol/client'

type Deliver = (message: JSONRPCMessage) => void

/**
 * Delivers a server's messages in their order, each answer only after the notifications ahead of it have been handled.
 *
 * The client handles a notification a moment after it got it, and forgets who follows a request as soon as it has the
 * answer. Progress that came in one piece with its answer would be lost. (Measured: up to 40 of 100.)
 */
export function createOrderedDelivery (deliver: Deliver): Deliver {
  let turn: Promise<void> | null = null

  return message => {
    const isNotification = 'method' in message && !('id' in message)
    if (turn === null && !isNotification) return deliver(message)
    // Each message has a turn of microtasks, in which the client handles the one before.
    // The client reports its own errors. One here must neither end the worker nor keep back the next message.
    const mine: Promise<void> = (turn ?? Promise.resolve()).then(() => deliver(message)).catch(() => {}).finally(() => {
      if (turn === mine) turn = null
    })
    turn = mine
  }
}
