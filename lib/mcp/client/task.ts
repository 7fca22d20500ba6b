import {
  memberTexts, objectText, presentMember, readJson, stringMember, textOf, valueOf
} from '../../json-text.ts'
import { metaKeys } from './protocol.ts'
import { UnusableAnswerError } from './protocol-errors.ts'
import { readFailure, readResult, type RpcFailure, type RpcRequest, type RpcValue } from './rpc-message.ts'

/**
 * What a server says of a task, in either form: that of 2025-11-25, or that of the extension of 2026-07-28.
 *
 * @see https://modelcontextprotocol.io/specification/2025-11-25/basic/utilities/tasks
 * @see https://modelcontextprotocol.github.io/ext-tasks/specification/2026-07-28/tasks.html
 */
export interface TaskState {
  /** The id as its server wrote it: JSON text of a string or a number. `null` where it does not say it again. */
  id: string | null
  /** A word that nobody knows counts as `working`: the server is asked again. */
  status: 'working' | 'input_required' | 'completed' | 'failed' | 'cancelled'
  /** How long the server wants not to be asked again (ms); `null` where it says nothing that is a time. */
  pollMs: number | null
  /** The server's sentence about the status. */
  message: string | null
  /** The result and the error of the tool, where they come with the state. */
  result: RpcValue | null
  error: RpcFailure | null
  /** The input requests that came with the state: JSON texts by the server's keys. */
  requests: ReadonlyMap<string, string>
}

/** A task that is to be asked for until it is over. */
export interface BegunTask {
  /** JSON text. */
  id: string
  /** What its server said when it began; `null` for one that was begun before. */
  state: TaskState | null
  /** The progress token of the call that began it; `null` where another worker sent that. */
  token: number | null
  /** When it must be over, by performance.now (ms). */
  deadline: number
}

/** The id of a task is kept in the record of its call, and travels in a header (characters). */
const maxIdLength = 1_024

/**
 * The task that a tool call was answered with; `null` for a result. Some servers give a task that nobody asked for, and
 * some put one beside a result that is there at once: then the result counts. Throws UnusableAnswerError for a task
 * that nobody could ask for.
 */
export function taskIn (answer: RpcValue, maxValues: number): TaskState & { id: string } | null {
  const { document, node } = answer
  const nested = presentMember(node, 'task')
  const holder = nested?.members === undefined ? node : nested
  const isMarked = stringMember(document, node, 'resultType') === 'task'
  const isNested = holder === nested && presentMember(nested, 'taskId') !== null && !hasContent(answer)
  if (!isMarked && !isNested) return null
  const state = readTask({ document, node: holder }, maxValues)
  if (state.id === null) {
    throw new UnusableAnswerError(`a task whose id is no text, or is longer than ${maxIdLength} characters`)
  }
  return { ...state, id: state.id }
}

function hasContent ({ node }: RpcValue): boolean {
  const content = presentMember(node, 'content')
  return presentMember(node, 'structuredContent') !== null || (content !== null && content.items?.length !== 0)
}

/** Throws BoundError when a result in it has more values than a message may. */
export function readTask ({ document, node }: RpcValue, maxValues: number): TaskState {
  const id = presentMember(node, 'taskId')
  const hasId = id !== null && (id.type === 'string' || id.type === 'number') && id.end - id.start <= maxIdLength + 2 &&
    textOf(document, id) !== '""'
  const result = presentMember(node, 'result')
  const error = presentMember(node, 'error')
  const requests = presentMember(node, 'inputRequests')
  return {
    id: hasId ? textOf(document, id) : null,
    status: statuses.get(stringMember(document, node, 'status')?.toLowerCase() ?? '') ?? 'working',
    pollMs: timeIn({ document, node }, 'pollIntervalMs') ?? timeIn({ document, node }, 'pollInterval'),
    message: stringMember(document, node, 'statusMessage'),
    result: result?.members === undefined ? null : readResult(textOf(document, result), maxValues),
    error: error === null ? null : readFailure(document, error),
    requests: requests?.members === undefined ? new Map() : memberTexts(document, requests)
  }
}

/** The statuses of both forms, and how else servers write them. */
const statuses = new Map<string, TaskState['status']>([
  ['working', 'working'], ['input_required', 'input_required'], ['completed', 'completed'], ['failed', 'failed'],
  ['cancelled', 'cancelled'], ['canceled', 'cancelled']
])

function timeIn ({ document, node }: RpcValue, name: string): number | null {
  const member = presentMember(node, name)
  const value = member === null ? NaN : Number(valueOf(document, member))
  return Number.isFinite(value) && value >= 0 ? value : null
}

/** Whether two texts stand for the same id. */
export const isSameId = (one: string, other: string) => JSON.parse(one) === JSON.parse(other)

/** The id of the task that a message says it is about; `null` where it says none. */
export function relatedTask ({ document, node }: RpcValue): string | null {
  const meta = presentMember(node, '_meta')
  // It lies deeper than the parts of a message are listed.
  const own = meta?.members === undefined ? null : readJson(textOf(document, meta), 2)
  const id = own && presentMember(presentMember(own.root, metaKeys.relatedTask), 'taskId')
  return own === null || id === null || id.members !== undefined || id.items !== undefined ? null : textOf(own, id)
}

/** A request of a server of the older eras for input, as the caller gets it: without what is for the client. */
export function inputRequestOf ({ method, params }: RpcRequest): string {
  const text = params === null ? '{}' : textOf(params.document, params.node)
  const document = readJson(text)
  const own = document === null ? '{}' : [...memberTexts(document)].filter(([name]) => name !== '_meta')
  return objectText([['method', JSON.stringify(method)], ['params', own === '{}' ? own : objectText(own)]])
}

/** How a task goes on when its caller has responded: what this client keeps of it meanwhile. */
export interface WaitingTask {
  /** JSON text. */
  id: string
  /** Keys of requests that were responded to: a server may go on to name them for a while. */
  answered: string[]
  /** Ids of requests of an older era that wait for their answers, as the server wrote them, by the caller's keys. */
  waiting: Record<string, string>
}

export const encodeWaiting = (task: WaitingTask): string => JSON.stringify(task)

/** Reads what {@link encodeWaiting} wrote. */
export const decodeWaiting = (text: string): WaitingTask => JSON.parse(text) as WaitingTask
