import { createStartBounds, type ServerShare, type Turn } from './start-bounds.ts'
import { createStartQueue, isMoreUrgent, isRequest, type Rank } from './start-queue.ts'
import { createTicket, type OpenTicket, type Ticket, type Wish } from './start-ticket.ts'

export interface StartSchedulerOptions {
  /** How many processes may be alive. */
  maxAlive: number
  /** How many may compute for their start at once. */
  maxStarting: number
  /** How many may wait for a call, and how many for a list. */
  maxQueued: number
}

/** Decides which process of this worker starts when. */
export interface StartScheduler {
  /** How many processes are alive, those included that start or end. */
  readonly alive: number
  /** How many have not finished their start. */
  readonly starting: number
  /** How many starts that requests need have not begun. */
  readonly waiting: number
  forServer: (name: string) => ServerStarts
}

/** The starts of one server. */
export interface ServerStarts {
  /** Waits for the turn to start a process. Rejects as {@link Ticket} does. */
  wait: (wish: Wish) => Promise<Turn>
  /** A ticket that nobody waits at yet. */
  ticket: () => Ticket<Turn>
  /** Says how to end a process that works for nobody when a request needs its room. Returns whether there was one. */
  onRoomNeeded: (endIdle: () => boolean) => void
  /** The server starts nothing more: the others need not leave anything to it. */
  close: () => void
}

interface Member { share: ServerShare, endIdle: () => boolean }
type Waiting = OpenTicket<Turn> & { server: ServerShare, rank: Rank }

/** Gives the turns to start a process, within the bounds of {@link createStartBounds}, in the order of the queue. */
export function createStartScheduler ({ maxAlive, maxStarting, maxQueued }: StartSchedulerOptions): StartScheduler {
  const queue = createStartQueue<ServerShare, Waiting>()
  const bounds = createStartBounds({ maxAlive, maxStarting, onFreed: giveTurns })
  /** The servers, the one whose turn was given last at the end. */
  const members = new Map<ServerShare, Member>()

  function giveTurns (): void {
    if (queue.isEmpty()) return // as nearly always when a call of a shared process ends
    for (let next = queue.next(bounds.mayStart); next !== null; next = queue.next(bounds.mayStart)) {
      const member = members.get(next.server)
      if (member !== undefined) {
        members.delete(next.server)
        members.set(next.server, member)
      }
      next.give(bounds.begin(next.server, next.rank))
    }
    makeRoom()
  }

  /** Ends idle processes for whoever only lacks room: first those of the server that has most of them. */
  function makeRoom (): void {
    const waiting = queue.count((server, rank) => rank !== 'spare' && bounds.lacksRoom(server, rank))
    let missing = bounds.missingRoom(waiting)
    if (waiting === 0 || missing <= 0) return
    const rich = [...members.values()].filter(({ share }) => share.idle > 0)
    for (const { endIdle } of rich.sort((one, other) => other.share.idle - one.share.idle)) {
      if (missing > 0 && endIdle()) missing--
    }
  }

  /** When too many wait, the last one of the server with the most is refused: it may be another one than the newest. */
  function boundQueue (newest: Waiting): void {
    const { rank } = newest
    const waiting = queue.count((_, other) => other === rank)
    if (!isRequest(rank) || waiting <= maxQueued) return
    const { last, length } = queue.longest(rank)
    const own = queue.count((server, other) => server === newest.server && other === rank)
    const refused = last !== null && length > own ? last : newest
    refused.refuse(`${bounds.shortage(refused.server)}, and ${waiting - 1} requests wait`)
  }

  function openTicket (server: ServerShare): Ticket<Turn> {
    let isQueued = false
    const ticket = createTicket<Turn>({
      shortage: () => bounds.shortage(server),
      onJoined ({ rank }) {
        if (isQueued && !isMoreUrgent(rank, waiting.rank)) return
        if (isQueued) queue.remove(waiting)
        isQueued = true
        waiting.rank = rank
        queue.add(waiting)
        giveTurns()
        if (waiting.state() === 'waiting') boundQueue(waiting)
      },
      onEmpty: () => queue.remove(waiting)
    })
    const waiting: Waiting = Object.assign(ticket, { server, rank: 'spare' as Rank })
    return waiting
  }

  return {
    get alive () { return bounds.alive },
    get starting () { return bounds.starting },
    get waiting () { return queue.count((_, rank) => isRequest(rank)) },

    forServer (name) {
      const share = bounds.addServer(name)
      const member: Member = { share, endIdle: () => false }
      members.set(share, member)
      return {
        async wait (wish) {
          const ticket = openTicket(share)
          await ticket.join(wish)
          return await ticket.turn
        },

        ticket: () => openTicket(share),

        onRoomNeeded (endIdle) {
          member.endIdle = endIdle
        },

        close () {
          members.delete(share)
          bounds.removeServer(share)
        }
      }
    }
  }
}
