/* What users of a fleet do: sessions that are used in every way, and a look at what each answer says. */
import { Agent, request } from 'undici'
import { countBy } from './open-loop.mjs'

/** How long a client waits before it counts a request as one that hangs (ms): longer than all limits together. */
const hangsMs = 120_000

/** What share of the requests is of each kind (of 200). A call of `fresh` starts a process, which costs most. */
const shares = {
  keep: 62, recall: 46, remote: 24, list: 20, session: 18, put: 10, stream: 10, reopen: 5, health: 4, fresh: 1
}
/** How long the tool of a stream takes (ms). */
export const streamMs = 100
const total = Object.values(shares).reduce((sum, share) => sum + share, 0)
export const kinds = Object.keys(shares)
/** The kind of each turn. A step that has no divisor in common with their number mixes them. */
const turns = kinds.flatMap(kind => Array(shares[kind]).fill(kind))
const kindOf = turn => turns[turn * 77 % total]

/** A client of the fleet. Each of its requests gives `{ kind, status, code }`; status 0 is one without an answer. */
export function createClient (url, { connections } = {}) {
  const agent = new Agent({ connections: connections ?? null, keepAliveTimeout: 10_000, keepAliveMaxTimeout: 10_000 })

  async function send (path, { method = 'POST', body, headers } = {}) {
    try {
      const response = await request(url + path, {
        method,
        dispatcher: agent,
        headers: { ...(body && { 'content-type': 'application/json' }), ...headers },
        body: body && JSON.stringify(body),
        headersTimeout: hangsMs,
        bodyTimeout: hangsMs
      })
      const text = await response.body.text()
      const { statusCode: status, headers: { 'retry-after': retryAfter } } = response
      return { status, text, retryAfter, code: status < 300 ? '' : codeOf(text) }
    } catch (error) {
      return { status: 0, text: '', code: error.code ?? error.message }
    }
  }

  const call = ({ id }, tool, params = {}, headers = {}) =>
    send('/call-tool', { body: { session_id: id, tool, params }, headers })

  /** Opens a session. */
  async function open (session) {
    const credentials = { apiUrl: 'https://api.example.com', jwtToken: 'not.a-real.token' }
    return await send('/init', { body: { session_id: session.id, ...credentials } })
  }

  const uses = {
    async keep (session) {
      const value = ++session.sent
      const answer = await call(session, 'kept__keep', { name: 'value0', value })
      if (answer.status === 200) session.isKept = true
      return answer
    },
    /** The value must be there as soon as one was acknowledged, and be one that was sent. */
    async recall (session) {
      const { isKept } = session
      const answer = await call(session, 'kept__recall')
      if (answer.status !== 200) return answer
      const value = JSON.parse(answer.text).values?.value0
      const isRight = value === undefined ? !isKept : value > 0 && value <= session.sent
      return isRight ? answer : { ...answer, status: 0, code: `a value is lost: ${value} of ${session.sent}` }
    },
    remote: session => call(session, 'remote__act'),
    fresh: session => call(session, 'fresh__count', { n: 1 }),
    list: ({ id }) => send('/tools', { body: { session_id: id } }),
    session: ({ id }) => send('/session', { method: 'GET', headers: { 'x-session-id': id } }),
    put: ({ id }) =>
      send('/session/values', { method: 'PUT', body: { locale: 'de' }, headers: { 'x-session-id': id } }),
    health: () => send('/health', { method: 'GET' }),
    /** A stream must end with its result. */
    async stream (session, ms = streamMs) {
      const answer = await call(session, 'shared__wait', { ms }, { accept: 'text/event-stream' })
      if (answer.status !== 200) return answer
      const isWhole = /^event: result$/m.test(answer.text)
      return isWhole ? answer : { ...answer, status: 0, code: `a stream without its result: ${answer.text.slice(-200)}` }
    },
    /** A session of its own is opened and ended. */
    async reopen ({ id }) {
      const other = { id: `${id}-${Math.random()}` }
      const opened = await open(other)
      return opened.status === 200 ? await send('/shutdown', { body: { session_id: other.id } }) : opened
    }
  }

  return {
    open,
    call,
    /** The request of a turn, with one session after the other. */
    async use (sessions, turn) {
      const kind = kindOf(turn)
      return { kind, ...await uses[kind](sessions[turn % sessions.length]) }
    },
    stream: uses.stream,
    recall: uses.recall,
    shutdown: ({ id }) => send('/shutdown', { body: { session_id: id } }),
    close: () => agent.destroy()
  }
}

function codeOf (text) {
  try {
    return JSON.parse(text).code
  } catch {
    return text.slice(0, 100)
  }
}

export const createSessions = (count, name) =>
  Array.from({ length: count }, (_, index) => ({ id: `${name}-${index}`, sent: 0, isKept: false }))

/** Does something with all sessions, some at a time. Throws at the first answer that is not 200. */
export async function withEach (sessions, act) {
  const left = sessions.values()
  await Promise.all(Array.from({ length: 20 }, async () => {
    for (const session of left) {
      const { status, code } = await act(session)
      if (status !== 200) throw new Error(`a session was answered ${status} ${code}`)
    }
  }))
}

/** The answers that are no success, by kind, status and code. */
export const failuresOf = outcomes =>
  countBy(outcomes.filter(({ status }) => status !== 200), ({ kind, status, code }) => `${kind} ${status} ${code}`)
