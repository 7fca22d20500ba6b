import { McpTimeoutError } from '../errors.ts'
import type { Peer } from '../mcp/client/handshake.ts'
import type { Server } from '../mcp/server.ts'
import { offersTool } from '../mcp/servers-file/tool-filter.ts'
import type { ToolNames } from '../mcp/servers-file/tool-names.ts'
import { createAbsentLists } from './absent-lists.ts'
import { type Asker, audienceOf, everybody } from './audience.ts'
import { createFailingLists } from './failing-lists.ts'
import type { KnownListsStore } from './known-lists.ts'
import { type CachedList, type CachedLists, createLearnedLists, type LearnedLists } from './learned-lists.ts'
import { createListCache, type FetchList } from './list-cache.ts'
import type { ListReader } from './list-reader.ts'
import { lossOf } from './lost-state.ts'
import {
  createListers, type ListAnswer, type Lister, type ListKind, type ServerLists
} from './server-lists.ts'
import { noTimeoutMs, type Waiter } from './shared-work.ts'
import type { CatalogTool, ToolCatalogOptions } from './tool-catalog.ts'

/** A server with its lists, each remembered for a short time. */
export interface CatalogedServer {
  readonly name: string
  readonly server: Server
  /**
   * Where there are other servers, a server that has just not answered in time is not asked: this rejects at once. All
   * that follows asks it.
   */
  list: <Kind extends ListKind>(kind: Kind, reader: ListReader) => Promise<ServerLists[Kind]>
  /**
   * A tool that is remembered, by the name that callers know. Without an asker, that of just any credentials: a guess
   * where the tools differ by session.
   */
  peekTool: (exposedName: string, asker?: Asker) => CatalogTool | null
  /** The tool in a fresh list, which is fetched, or joined; `null` when it is not there. */
  findTool: (exposedName: string, reader: ListReader) => Promise<CatalogTool | null>
  /** What the server offers is the same for everybody, and is just being found out for the first time. */
  readonly isPending: boolean
  /** Needs no credentials to be reached, and shows the same to everybody, as far as its entry says it. */
  readonly isForEverybody: boolean
  /**
   * Learns all its lists for everybody; see learned-lists.ts. Absent where they may differ by session, and where
   * nothing is learned.
   */
  learn?: LearnedLists['learn']
  /** A process of the server has started, and has described itself. */
  started: (peer: Peer) => void
  /** The server's own name of the prompt that callers know under a name; `null` when it lists none. */
  findPrompt: (exposedName: string, reader: ListReader) => Promise<string | null>
  /** The server says that one of its lists has changed. */
  forgetLists: () => void
}

export interface CatalogOptions extends Pick<ToolCatalogOptions, 'sensitiveParams' | 'marksFilled'> {
  toolsCacheTtlMs: number
  /** How long lists of several servers pass over one that did not answer in time (ms); 0 for not at all. */
  failingTtlMs: number
  /** Learns lists ahead of demand, and gets what becomes of it; absent where lists are asked for on demand only. */
  learning?: {
    store: KnownListsStore
    onOutdated: (server: string) => void
    onStoreTrouble: (server: string, error: unknown) => void
  }
  /** A tool of a server is left out: it declares a credential that the server may not have. */
  onRefusedCredential: (server: string, tool: string, credential: string) => void
  /** The servers file says something of a tool that its server does not list. */
  onUnknownTool: (server: string, tool: string) => void
  /** A server shows that it keeps state, which is lost as its entry says how it is reached. */
  onLostState: (server: string, loss: string) => void
}

export interface ServerContext {
  /** How much of one kind of its lists is remembered (bytes). */
  maxBytes: number
  names: ToolNames
  /** It is the only server. */
  isOnly: boolean
  /** Names of its values that are arguments of the operator's, somewhere. */
  guarded: ReadonlySet<string>
}

/** A list that was to be everybody's came from a session that its server keeps: it is shown to nobody else. */
class PersonalListError extends Error {
  override name = 'PersonalListError'
}

export function createCatalogedServer (
  server: Server, { names, isOnly, guarded, maxBytes }: ServerContext, options: CatalogOptions
): CatalogedServer {
  const { toolsCacheTtlMs: ttlMs, failingTtlMs, sensitiveParams, marksFilled, learning } = options
  const { onRefusedCredential, onUnknownTool, onLostState } = options
  const { spec } = server
  const audience = audienceOf(server)
  const failing = createFailingLists({ ttlMs: failingTtlMs })
  const exposedName = (name: string) => names.exposedName(spec.name, name)
  const told = new Set<string>()
  /** Tells something of a tool when it is first listed, and not again. */
  function once (what: string, tell: () => void): void {
    if (told.has(what)) return
    told.add(what)
    tell()
  }
  const listers = createListers({
    server: spec.name,
    policy: spec.policy,
    guarded,
    marksFilled,
    onRefusedCredential: (tool, credential) =>
      once(`refused ${tool}`, () => onRefusedCredential(spec.name, tool, credential)),
    onUnknownTool: tool => once(`unknown ${tool}`, () => onUnknownTool(spec.name, tool)),
    loss: lossOf(spec),
    isStateful: spec.stateful === true,
    onLostState: loss => once('state', () => onLostState(spec.name, loss)),
    sensitiveParams,
    exposedName,
    offers: tool => offersTool(spec, tool),
    serverLabel: isOnly ? null : spec.name
  })
  const cached = <List>(lister: Lister<List>): CachedList<List> =>
    ({ lister, cache: createListCache({ ttlMs, maxBytes }) })
  const lists: CachedLists = {
    tools: cached(listers.tools),
    resources: cached(listers.resources),
    resourceTemplates: cached(listers.resourceTemplates),
    prompts: cached(listers.prompts)
  }

  const absent = createAbsentLists(spec.kind === 'stdio')
  const isLearned = audience.mayBeEverybody && spec.kind !== 'faulty' && ttlMs > 0
  const learned = learning === undefined || !isLearned
    ? null
    : createLearnedLists({
      server: spec.name,
      identity: spec.identity,
      lists,
      ttlMs,
      store: spec.kind === 'stdio' ? learning.store : null,
      onAnswer: absent.note,
      onOutdated: () => learning.onOutdated(spec.name),
      onStoreTrouble: error => learning.onStoreTrouble(spec.name, error)
    })

  const waiterOf = ({ limits: { signal, timeoutMs }, patience }: ListReader, { what }: Lister<unknown>): Waiter => ({
    signal, timeoutMs, patience, late: () => new McpTimeoutError(spec.name, what, timeoutMs / 1000)
  })

  function fetchThrough<Kind extends ListKind> (
    reader: ListReader, kind: Kind, expected: string
  ): FetchList<ServerLists[Kind]> {
    const { lister }: CachedList<ServerLists[Kind]> = lists[kind]
    return async ({ onJoined, ...control }) => {
      onJoined(({ patience, signal }) => reader.join(patience, signal))
      return await reader.withClient(control.signal, async client => {
        const answer = await lister.ask(client, { ...reader.limits, ...control, timeoutMs: noTimeoutMs })
        const actual = audience.actual(reader, client.usedSession())
        if (client.usedSession() && actual !== expected) throw new PersonalListError()
        absent.note(kind, answer)
        return { ...lister.read(answer), audience: actual }
      })
    }
  }

  /** A list from memory (`get`) or from the server (`refresh`), for those who may see it. */
  async function obtain<Kind extends ListKind> (
    kind: Kind, reader: ListReader, how: 'get' | 'refresh'
  ): Promise<ServerLists[Kind]> {
    const { cache, lister }: CachedList<ServerLists[Kind]> = lists[kind]
    const obtainFor = async (name: string) =>
      await cache[how](name, waiterOf(reader, lister), fetchThrough(reader, kind, name))
    try {
      return await obtainFor(audience.expected(reader))
    } catch (error) {
      if (error instanceof PersonalListError) return await obtainFor(audience.actual(reader, true))
      throw error
    }
  }

  /** The same. How the server answers is remembered; how it did before matters only to a listing of several servers. */
  async function observe<Kind extends ListKind> (
    kind: Kind, reader: ListReader, how: 'get' | 'refresh' | 'get unless failing'
  ): Promise<ServerLists[Kind]> {
    if (how !== 'refresh' && absent.has(kind)) return lists[kind].lister.read(noItems).create()
    const name = audience.expected(reader)
    const work = () => obtain(kind, reader, how === 'refresh' ? how : 'get')
    if (how !== 'refresh' && lists[kind].cache.isFresh(name)) return await work()
    const observing = how === 'get unless failing' ? failing.observeUnlessFailing : failing.observe
    return await observing({ audience: name, kind }, work)
  }

  return {
    name: spec.name,
    server,

    async list (kind, reader) {
      const list = await observe(kind, reader, isOnly ? 'get' : 'get unless failing')
      learned?.used()
      return list
    },

    peekTool: (name, asker) => lists.tools.cache.peek(asker && audience.expected(asker))?.byName.get(name) ?? null,

    async findTool (name, reader) {
      return (await observe('tools', reader, 'refresh')).byName.get(name) ?? null
    },

    async findPrompt (name, reader) {
      // Where the server's names are exposed as they are, it can be requested at once.
      if (exposedName(name) === name) return name
      return (await observe('prompts', reader, 'get')).ownNames.get(name) ?? null
    },

    isForEverybody: audience.mayBeEverybody,

    get isPending () { return learned !== null && !isOnly && !learned.isFirstOver },

    ...(learned !== null && {
      // A server that hangs is known to, before anybody asks for its lists.
      learn: reader => failing.observe({ audience: everybody, kind: 'tools' }, () => learned.learn(reader))
    }),

    started (peer) {
      for (const kind of absent.takeBack(peer.capabilities ?? [])) lists[kind].cache.forget()
      learned?.observe(peer)
    },

    forgetLists () {
      // One process of several says so. Another one that is started has the lists that its program begins with.
      if (spec.kind === 'stdio' && spec.lifecycle === 'request' && learned?.doubt() === true) return
      learned?.forget()
      absent.clear()
      for (const { cache } of Object.values(lists)) cache.forget()
    }
  }
}

const noItems: ListAnswer = { items: [], warnings: [] }
