import { editedText, type JsonValue, removalsOf } from '../json-text.ts'
import { type Mask, maskJson } from '../mask.ts'
import type { Watcher } from '../mcp/client/tool-call.ts'

/** Takes an event: its name, and JSON text. */
export interface EventSink { send: (event: string, json: string) => void }

/** Passes on what a server says while a tool runs. */
export const createWatcher = (events: EventSink, mask: Mask): Watcher => ({
  onProgress: progress => events.send('progress', maskJson(withoutToken(progress), mask)),
  onLog: message => events.send('log', maskJson(withoutToken(message), mask))
})

/** The token is between the server and us. */
const withoutToken = (params: JsonValue) =>
  editedText(params, removalsOf(params.node, ({ name }) => name === 'progressToken'))
