import type { JSONRPCMessage } from '@modelcontextprotocol/client'

type Hand = (message: JSONRPCMessage) => void

/**
 * Hands a server's messages on in their order, an answer only when what the notifications ahead of it set off has been done.
 *
 * The client handles a notification a moment after it got it, and forgets who follows a request as soon as it has the answer:
 * of a progress notification that came in one piece with its answer, nobody would hear. (Measured: up to 40 of 100 lost.)
 */
export function createOrderedDelivery (hand: Hand): Hand {
  let turn: Promise<void> | null = null

  return message => {
    const isNotification = 'method' in message && !('id' in message)
    if (turn === null && !isNotification) return hand(message)
    // A turn of microtasks each: what is handed on in one is done in the next.
    // The client reports its own faults; one here must neither end the worker nor keep back what comes after it.
    const mine: Promise<void> = (turn ?? Promise.resolve()).then(() => hand(message)).catch(() => {}).finally(() => {
      if (turn === mine) turn = null
    })
    turn = mine
  }
}
