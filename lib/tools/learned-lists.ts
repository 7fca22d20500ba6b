import { digestOf } from '../digest.ts'
import { McpTimeoutError } from '../errors.ts'
import type { Peer } from '../mcp/client/handshake.ts'
import { listKinds } from '../mcp/client/list-pages.ts'
import { everybody } from './audience.ts'
import { type KnownLists, type KnownListsStore, readKnownLists, writeKnownLists } from './known-lists.ts'
import type { ListCache } from './list-cache.ts'
import type { ListReader } from './list-reader.ts'
import { digestOfAnswer, type ListAnswer, type Lister, type ListKind, type ServerLists } from './server-lists.ts'
import { noTimeoutMs } from './shared-work.ts'

export interface CachedList<List> { cache: ListCache<List>, lister: Lister<List> }
export type CachedLists = { readonly [Kind in ListKind]: CachedList<ServerLists[Kind]> }

export interface LearnedListsOptions {
  server: string
  /** Names the server's entry; another entry is another server. */
  identity: string
  lists: CachedLists
  /** How long lists are remembered of which the server does not say it (ms). */
  ttlMs: number
  /** Where the workers share what they know; `null` where asking costs no start of a process. */
  store: KnownListsStore | null
  onAnswer: (kind: ListKind, answer: ListAnswer) => void
  /** It is time to learn again. */
  onOutdated: () => void
  /** What is known could not be shared, or what others know not be read. */
  onStoreTrouble: (error: unknown) => void
}

/** What a server that is the same for everybody offers: learned at once, by one client, ahead of demand. */
export interface LearnedLists {
  /** The first learning has come to its end, well or not. */
  readonly isFirstOver: boolean
  /**
   * Learns all lists: from other workers, or else from the server. Callers who ask meanwhile wait for the same. Rejects
   * when the tools could not be learned; another list that could not be is asked for when it is wanted.
   */
  learn: (reader: ListReader) => Promise<{ tools: number, isFromStore: boolean }>
  /** Tells that a list is used: it may be time to learn again. */
  used: () => void
  /** A process of the server has started: the server may have been upgraded. */
  observe: (peer: Peer) => void
  /** What is known is shown still, and learned again when it is used. False when nothing is known. */
  doubt: () => boolean
  /** What is known does not hold any more. */
  forget: () => void
}

/** A list that no start of the server has put in doubt is learned again after this time at the latest (ms). */
const maxAgeMs = 3_600_000
/** How long a list is shown that could not be learned again (ms). */
const maxShownMs = 86_400_000
/** A server that calls itself by another version at each start is not told apart by it. */
const maxVersions = 5

const kinds = Object.keys(listKinds) as ListKind[]

export function createLearnedLists (options: LearnedListsOptions): LearnedLists {
  const { server, identity, lists, ttlMs, store, onAnswer, onOutdated, onStoreTrouble } = options
  let known: Omit<KnownLists, 'answers'> & { digest: string, isDoubted: boolean } | null = null
  let isFirstOver = false
  let lastLearnedAt = 0
  /** The version that a process has shown, where it is not the one that is known. */
  let seenVersion: string | undefined
  let versions = 0

  /**
   * How old what is known may become: as old as the server says. Many servers say 0 and mean nothing by it. Of one that
   * says nothing, a list that stays the same is learned again ever more seldom.
   */
  const ageMs = ({ unchanged, ttlMs: said = 0 }: Pick<KnownLists, 'unchanged' | 'ttlMs'>) =>
    Math.max(ttlMs, said > 0 ? Math.min(said, maxShownMs) : Math.min(maxAgeMs, ttlMs * 2 ** Math.min(unchanged, 30)))

  /** What another worker has learned, unless it is no news to this one. */
  async function recall (): Promise<KnownLists | null> {
    try {
      const text = await store?.read(identity) ?? null
      const found = text === null ? null : readKnownLists(text)
      if (found === null || (seenVersion !== undefined && found.version !== seenVersion)) return null
      return known === null || (found.at > known.at && Date.now() < found.at + ageMs(found)) ? found : null
    } catch (error) {
      onStoreTrouble(error)
      return null
    }
  }

  async function share (learned: KnownLists): Promise<void> {
    const text = store === null ? null : writeKnownLists(learned)
    if (text !== null) await store?.write(identity, text).catch(onStoreTrouble)
  }

  async function learn (reader: ListReader) {
    const recalling = recall()
    let version: string | undefined
    const answers: { [Kind in ListKind]?: ListAnswer } = {}

    async function learnList<Kind extends ListKind> (kind: Kind): Promise<void> {
      const { cache, lister }: CachedList<ServerLists[Kind]> = lists[kind]
      const { limits: { timeoutMs, signal }, patience } = reader
      const late = () => new McpTimeoutError(server, lister.what, timeoutMs / 1000)
      const waiter = { signal, timeoutMs, patience, late }
      const refresh = () => cache.refresh(everybody, waiter, async ({ onJoined, ...control }) => {
        onJoined(({ patience, signal }) => reader.join(patience, signal))
        const recalled = (await recalling)?.answers[kind]
        const answer = recalled ?? await reader.withClient(control.signal, async client => {
          const asked = await lister.ask(client, { ...reader.limits, ...control, timeoutMs: noTimeoutMs })
          version = client.peer()?.version
          return asked
        })
        answers[kind] = answer
        onAnswer(kind, answer)
        const shown = { ...lister.read(answer), audience: everybody }
        return store === null ? shown : { ...shown, ttlMs: maxShownMs }
      })
      await refresh()
      // A caller's own request for it was under way, and was joined.
      if (answers[kind] === undefined) await refresh()
    }

    const [tools] = await Promise.allSettled(kinds.map(learnList))
    if (tools?.status === 'rejected') throw tools.reason
    const recalled = await recalling
    const learned = recalled ?? newLists(answers, version)
    if (recalled === null) await share(learned)
    known = { ...learned, digest: digestOfAnswers(answers), isDoubted: false }
    seenVersion = undefined
    return { tools: answers.tools?.items.length ?? 0, isFromStore: recalled !== null }
  }

  function newLists (answers: KnownLists['answers'], version: string | undefined): KnownLists {
    const isSame = known?.digest === digestOfAnswers(answers)
    return {
      at: Date.now(),
      unchanged: isSame ? (known?.unchanged ?? 0) + 1 : 0,
      answers,
      ...(version !== undefined && { version }),
      ...(answers.tools?.ttlMs !== undefined && { ttlMs: answers.tools.ttlMs })
    }
  }

  return {
    get isFirstOver () { return isFirstOver },

    async learn (reader) {
      try {
        return await learn(reader)
      } finally {
        isFirstOver = true
        lastLearnedAt = Date.now()
      }
    },

    used () {
      const now = Date.now()
      if (store === null || !isFirstOver || now < lastLearnedAt + ttlMs) return
      if (known === null || known.isDoubted || now > known.at + ageMs(known)) onOutdated()
    },

    observe ({ version }) {
      if (known === null || version === known.version || versions === maxVersions) return
      versions++
      seenVersion = version
      known = null
      for (const { cache } of Object.values(lists)) cache.forget()
      onOutdated()
    },

    doubt () {
      if (known === null) return false
      known.isDoubted = true
      return true
    },

    forget () { known = null }
  }
}

const digestOfAnswers = (answers: KnownLists['answers']) =>
  digestOf(kinds.map(kind => answers[kind] === undefined ? null : digestOfAnswer(answers[kind])))
