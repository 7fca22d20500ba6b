import type { JsonObject } from '../json.ts'
import type { RequestLimits, ServerClient } from '../mcp/client/server-client.ts'
import type { Fetched } from './list-cache.ts'
import { createToolCatalog, type ToolCatalog, type ToolCatalogOptions } from './tool-catalog.ts'

/** One list of one server. */
export interface ServerList {
  /** As callers see them, in the server's order. */
  items: JsonObject[]
}

export interface PromptList extends ServerList {
  /** The server's own names, by the names that callers know. */
  ownNames: ReadonlyMap<string, string>
}

/** The lists that a server may have. */
export interface ServerLists {
  tools: ToolCatalog
  resources: ServerList
  resourceTemplates: ServerList
  prompts: PromptList
}

export type ListKind = keyof ServerLists

/** Requests one list from a server, every page of it, and turns it into what callers see. */
export interface Lister<List> {
  /** For the sentence of a failure. */
  what: string
  fetch: (client: ServerClient, limits: RequestLimits) => Promise<Fetched<List>>
}

export type Listers = { readonly [Kind in ListKind]: Lister<ServerLists[Kind]> }

export interface ListersOptions extends ToolCatalogOptions {
  /** The name that each resource carries, so that callers can tell servers apart; `null` for the only server. */
  serverLabel: string | null
}

export function createListers (options: ListersOptions): Listers {
  const { exposedName, serverLabel } = options
  const labelled = (items: JsonObject[]) =>
    serverLabel === null ? items : items.map(item => ({ ...item, server: serverLabel }))

  return {
    tools: {
      what: 'the list of tools',
      async fetch (client, limits) {
        const { items, ttlMs } = await client.listTools(limits)
        return { list: createToolCatalog(items, await client.instructions(limits), options), ttlMs }
      }
    },
    resources: {
      what: 'the list of resources',
      async fetch (client, limits) {
        const { items, ttlMs } = await client.listResources(limits)
        return { list: { items: labelled(items) }, ttlMs }
      }
    },
    resourceTemplates: {
      what: 'the list of resource templates',
      async fetch (client, limits) {
        const { items, ttlMs } = await client.listResourceTemplates(limits)
        return { list: { items: labelled(items) }, ttlMs }
      }
    },
    prompts: {
      what: 'the list of prompts',
      async fetch (client, limits) {
        const { items, ttlMs } = await client.listPrompts(limits)
        return {
          list: {
            items: items.map(prompt => ({ ...prompt, name: exposedName(prompt.name) })),
            ownNames: new Map(items.map(({ name }) => [exposedName(name), name]))
          },
          ttlMs
        }
      }
    }
  }
}
