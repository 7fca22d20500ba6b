import { listKinds } from '../mcp/client/list-pages.ts'
import type { ListAnswer, ListKind } from './server-lists.ts'

/** Lists that a server which is a process does not have: it is not started to be asked for them. */
export interface AbsentLists {
  has: (kind: ListKind) => boolean
  /** Notes from an answer whether the server has a list. */
  note: (kind: ListKind, answer: ListAnswer) => void
  /** Takes back the lists that the server declares after all, and gives them. */
  takeBack: (capabilities: readonly string[]) => ListKind[]
  clear: () => void
}

export function createAbsentLists (isProcess: boolean): AbsentLists {
  const absent = new Set<ListKind>()
  return {
    has: kind => absent.has(kind),
    note (kind, { isAbsent }) {
      // The instructions come with the tools.
      if (!isProcess || kind === 'tools') return
      if (isAbsent === true) absent.add(kind)
      else absent.delete(kind)
    },
    takeBack (capabilities) {
      const declared = [...absent].filter(kind => capabilities.includes(listKinds[kind].capability))
      for (const kind of declared) absent.delete(kind)
      return declared
    },
    clear: () => absent.clear()
  }
}
