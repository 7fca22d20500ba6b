import type { JSONRPCMessage, RequestId } from '@modelcontextprotocol/client'
import { isJsonObject } from '../../json.ts'

export interface IdShift {
  outbound: (message: JSONRPCMessage) => JSONRPCMessage
  inbound: <Message extends JSONRPCMessage>(message: Message) => Message
}

/**
 * Moves the ids of a client's requests by a constant, and those of the answers back.
 *
 * Each client counts from 0, and several may use an MCP session at once: without this, one would get the other's
 * answer. Progress tokens are the same numbers and move with them. Text ids stay.
 */
export function createIdShift (by: number): IdShift {
  const shifted = <Id>(id: Id, distance: number) => typeof id === 'number' ? id + distance : id

  function shift<Message extends JSONRPCMessage> (message: Message, distance: number, isOurs: boolean): Message {
    const { method, id, params } = message as { method?: string, id?: RequestId, params?: unknown }
    // Our requests and the server's answers, and the notifications of each side that name a request.
    const moved: Record<string, unknown> = { ...message }
    if (id !== undefined && (method !== undefined) === isOurs) moved.id = shifted(id, distance)
    if (!isJsonObject(params)) return moved as Message
    if (isOurs && method === 'notifications/cancelled') {
      moved.params = { ...params, requestId: shifted(params.requestId, distance) }
    }
    if (!isOurs && method === 'notifications/progress') {
      moved.params = { ...params, progressToken: shifted(params.progressToken, distance) }
    }
    if (isOurs && isJsonObject(params._meta) && 'progressToken' in params._meta) {
      const progressToken = shifted(params._meta.progressToken, distance)
      moved.params = { ...params, _meta: { ...params._meta, progressToken } }
    }
    return moved as Message
  }

  return {
    outbound: message => shift(message, by, true),
    inbound: message => shift(message, -by, false)
  }
}
