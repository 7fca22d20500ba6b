import { isJsonObject } from '../json.ts'
import type { ListedItem } from '../mcp/client/list-pages.ts'
import type { ServerSpec } from '../mcp/servers-file/server-spec.ts'

/** What does not work where a server that keeps state is reached as its entry says; `null` where all of it does. */
export function lossOf (spec: ServerSpec): string | null {
  if (spec.kind === 'faulty') return null
  if (spec.kind !== 'stdio') {
    if (spec.session === 'kept') return null
    const remedy = spec.kind === 'http' ? '"session": "kept"' : '"type": "http" with "session": "kept", if it can'
    return 'it keeps state, and each request has an MCP session of its own: what a call leaves there is gone for the ' +
      `next one. Use ${remedy}`
  }
  if (spec.lifecycle === 'shared') {
    return 'it keeps state, and one process serves all callers of a worker: they share what it keeps, other workers ' +
      'have another one, and it is gone when the process ends. For a session of its own, run it over HTTP'
  }
  return 'it keeps state, and each request has a fresh process: what a call leaves in its memory (a page, a shell, a ' +
    'connection) is gone for the next one. Run it over HTTP, where each session has its own, or use "lifecycle": ' +
    '"shared" if all callers may share it'
}

/**
 * Tools that are useless without what an earlier call left, of servers that many use. A server has all names of a list.
 */
const statefulTools: ReadonlyArray<readonly string[]> = [
  ['browser_navigate', 'browser_click'], // @playwright/mcp
  ['navigate_page', 'take_snapshot', 'click'], // chrome-devtools-mcp
  ['puppeteer_navigate', 'puppeteer_click'], // @modelcontextprotocol/server-puppeteer
  ['start_process', 'interact_with_process'] // @wonderwhy-er/desktop-commander
]

/**
 * Whether a server's tools are known to keep state between calls: by their names, or because one of them says so. All
 * else says too little. A server that writes a file or a database looks much the same, and loses nothing.
 */
export function keepsState (items: readonly ListedItem[]): boolean {
  const names = new Set(items.map(({ value }) => value.name))
  return statefulTools.some(tools => tools.every(tool => names.has(tool))) || items.some(saysSo)
}

/** Neither annotation is of the specification, which has none for this. */
function saysSo ({ value: { annotations } }: ListedItem): boolean {
  return isJsonObject(annotations) && (annotations.stateful === true || annotations.statefulHint === true)
}
