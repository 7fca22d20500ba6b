import { digestOf } from '../digest.ts'
import { applyEdits, readJson, settingOf } from '../json-text.ts'
import { type Listed, type ListedItem, listKinds, type ListName } from '../mcp/client/list-pages.ts'
import type { RequestLimits, ServerClient } from '../mcp/client/server-client.ts'
import type { Fetched } from './list-cache.ts'
import { keepsState } from './lost-state.ts'
import { createToolCatalog, type ToolCatalog, type ToolCatalogOptions } from './tool-catalog.ts'

/** One list of one server. */
export interface ServerList {
  /** As callers see them, each as JSON text, in the server's order. */
  items: readonly string[]
  /** Items that are left out, and why. */
  warnings: readonly string[]
}

export interface ResourceList extends ServerList {
  /** The URIs of the resources, or the templates of URIs. */
  uris: readonly string[]
}

export interface PromptList extends ServerList {
  /** The server's own names, by the names that callers know. */
  ownNames: ReadonlyMap<string, string>
}

/** The lists that a server may have. */
export interface ServerLists {
  tools: ToolCatalog
  resources: ResourceList
  resourceTemplates: ResourceList
  prompts: PromptList
}

export type ListKind = ListName

/** What a server says when it is asked for one of its lists. */
export interface ListAnswer extends Listed {
  /** Only with the tools. */
  instructions?: string
  /** The server has no such list: it does not declare it, and gave nothing. */
  isAbsent?: true
}

/** Requests one list from a server, every page of it, and turns it into what callers see. */
export interface Lister<List> {
  /** For the sentence of a failure. */
  what: string
  ask: (client: ServerClient, limits: RequestLimits) => Promise<ListAnswer>
  read: (answer: ListAnswer) => Fetched<List>
}

export type Listers = { readonly [Kind in ListKind]: Lister<ServerLists[Kind]> }

export interface ListersOptions extends ToolCatalogOptions {
  /** The name that each resource carries, so that callers can tell servers apart; `null` for the only server. */
  serverLabel: string | null
  /** What does not work where the server keeps state; `null` where all of it does. See lost-state.ts. */
  loss: string | null
  /** The operator says that the server keeps state. */
  isStateful: boolean
  /** The server itself shows that it keeps state, which its operator has not said. */
  onLostState: (loss: string) => void
}

const instructionsWarning = 'its instructions are left out: they are longer than MCP_MAX_INSTRUCTIONS_BYTES'

/** Makes of a server's list what callers see. */
type CreateList<List> = (answer: ListAnswer) => List

export function createListers (options: ListersOptions): Listers {
  const { exposedName, serverLabel, loss, isStateful, onLostState, offers } = options

  /** Adds a sentence for callers, where the server is known to keep state that is lost. */
  function withStateWarnings (answer: ListAnswer): ListAnswer {
    if (loss === null) return answer
    const { items, declaresState, warnings } = answer
    const isShown = declaresState === true || keepsState(items.filter(item => offers(keyOf('tools', item))))
    if (isShown && !isStateful) onLostState(loss)
    return isShown || isStateful ? { ...answer, warnings: [loss, ...warnings] } : answer
  }

  function createLister<Kind extends ListKind> (kind: Kind, create: CreateList<ServerLists[Kind]>) {
    const { what, capability } = listKinds[kind]
    const lister: Lister<ServerLists[Kind]> = {
      what: `the list of ${what}`,
      async ask (client, limits) {
        const listed = await client.list(kind, limits)
        const { instructions, areInstructionsLeftOut = false } =
          kind === 'tools' ? await client.instructions(limits) : {}
        const isUndeclared = client.peer()?.capabilities?.includes(capability) === false
        return {
          ...listed,
          warnings: areInstructionsLeftOut ? [instructionsWarning, ...listed.warnings] : listed.warnings,
          ...(instructions !== undefined && { instructions }),
          ...(isUndeclared && listed.items.length === 0 && { isAbsent: true })
        }
      },
      read: answer => ({
        create: () => create(kind === 'tools' ? withStateWarnings(answer) : answer),
        bytes: answer.items.reduce((sum, { text }) => sum + text.length, answer.instructions?.length ?? 0),
        digest: () => digestOfAnswer(answer),
        ttlMs: answer.ttlMs
      })
    }
    return lister
  }

  function createResourceLister (kind: 'resources' | 'resourceTemplates') {
    return createLister(kind, ({ items, warnings }) => ({
      items: items.map(({ text }) => serverLabel === null ? text : withMember(text, 'server', serverLabel)),
      warnings,
      uris: items.map(item => keyOf(kind, item))
    }))
  }

  return {
    tools: createLister('tools', answer => createToolCatalog(answer, answer.instructions, options)),
    resources: createResourceLister('resources'),
    resourceTemplates: createResourceLister('resourceTemplates'),
    prompts: createLister('prompts', ({ items, warnings }) => {
      const names = items.map(item => keyOf('prompts', item))
      return {
        items: items.map((item, index) => {
          const name = names[index] ?? ''
          return exposedName(name) === name ? item.text : withMember(item.text, 'name', exposedName(name))
        }),
        warnings,
        ownNames: new Map(names.map(name => [exposedName(name), name]))
      }
    })
  }
}

/** The same for the same answer. */
export const digestOfAnswer = ({ instructions, warnings, items }: ListAnswer): string =>
  digestOf([instructions, warnings, items.map(({ text }) => text)])

/** An item without its key is not listed. */
const keyOf = (kind: ListKind, { value }: ListedItem) => String(value[listKinds[kind].key])

function withMember (text: string, name: string, value: string): string {
  const document = readJson(text)
  return document === null ? text : applyEdits(document.text, [settingOf(document.root, name, JSON.stringify(value))])
}

const maxWarnings = 20

/** Warnings for a reply: a list may be nothing but odd items. */
export const boundedWarnings = (warnings: readonly string[]): string[] =>
  warnings.length <= maxWarnings
    ? [...warnings]
    : [...warnings.slice(0, maxWarnings), `and ${warnings.length - maxWarnings} more`]
