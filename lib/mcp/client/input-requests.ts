import { objectText, presentMember, readJson, stringMember, textOf } from '../../json-text.ts'
import { errorCodes } from './protocol.ts'
import { RpcError } from './protocol-errors.ts'
import type { RpcValue } from './rpc-message.ts'

/** A server requests input before it goes on. */
export interface InputRequests {
  /** Requests by keys of the server: the JSON text of an object. */
  requests: string
  /** The server's own state, to be given back unchanged: JSON text. */
  state?: string
  /** The task whose requests they are, which is asked on then: this client's own text. */
  task?: string
}

/**
 * The input requests that a result is; `null` for a result that is complete.
 * @see https://modelcontextprotocol.io/specification/2026-07-28/basic/utilities/mrtr
 */
export function inputRequestsIn ({ document, node }: RpcValue): InputRequests | null {
  if (stringMember(document, node, 'resultType') !== 'input_required') return null
  const requests = presentMember(node, 'inputRequests')
  const state = presentMember(node, 'requestState')
  return {
    requests: requests?.members?.length ? textOf(document, requests) : '{}',
    ...(state !== null && { state: textOf(document, state) })
  }
}

/**
 * The input requests that the error of an older era stands for: a person must visit an address before the request can
 * succeed. `null` for any other error.
 * @see https://modelcontextprotocol.io/specification/2025-11-25/client/elicitation#url-elicitation-required-error
 */
export function urlElicitationIn (error: unknown): InputRequests | null {
  if (!(error instanceof RpcError) || error.code !== errorCodes.urlElicitationRequired) return null
  const document = readJson(error.data ?? '', 3)
  const elicitations = document && presentMember(document.root, 'elicitations')?.items
  if (document === null || !elicitations || elicitations.length === 0) return null
  return {
    requests: objectText(elicitations.map((elicitation, index) => [
      stringMember(document, elicitation, 'elicitationId') ?? String(index + 1),
      `{"method":"elicitation/create","params":${textOf(document, elicitation)}}`
    ]))
  }
}
