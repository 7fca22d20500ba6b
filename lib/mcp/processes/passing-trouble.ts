import type { Exit } from '../transports/stdio.ts'

/** Codes of the system for what may pass: it is out of something, or the network is not there. */
const passingCodes = [
  'EAGAIN', 'ENOMEM', 'EMFILE', 'ENFILE', 'ENOBUFS', 'EBUSY', 'ETXTBSY', 'EINTR', 'ETIMEDOUT', 'ESOCKETTIMEDOUT',
  'ENOTFOUND', 'EAI_AGAIN', 'ECONNRESET', 'ECONNREFUSED', 'ECONNABORTED', 'EPIPE', 'ENETUNREACH', 'ENETDOWN',
  'EHOSTUNREACH', 'EHOSTDOWN', 'EADDRINUSE', 'ERR_SOCKET_TIMEOUT', 'UND_ERR_(CONNECT|HEADERS|BODY)_TIMEOUT',
  'UND_ERR_SOCKET'
]

/** Words of programs for the same: of Node, Python, Go, npm, pip and uv. None is a word of a usage text. */
const passingWords = [
  'timed out', 'timeout (exceeded|expired|reached)', '(connect|connection|read|request) timeout',
  'temporar(y|ily) (failure|error|unavailable)', 'try again (later|in)', 'too many (requests|open files|connections)',
  'rate limit (exceeded|reached)', 'rate limited', 'connection (was )?(reset|refused|aborted|closed)',
  'network (is )?(unreachable|down)', 'no route to host', 'socket hang up', 'name resolution',
  'failed to (fetch|resolve host)', 'could not resolve host', 'cannot allocate memory', 'out of memory',
  'text file busy', 'database is locked', 'resource busy', 'service unavailable', 'bad gateway', 'gateway time-?out',
  'address already in use'
]

const passing = new RegExp(`\\b(${[...passingCodes, ...passingWords].join('|')})\\b`, 'i')

/** Whether a line of a program, or the code of an error, speaks of something that may pass by itself. */
export const speaksOfPassingTrouble = (text: string): boolean => passing.test(text)

/**
 * Exit codes of the same meaning. A shell gives the signal of its child as 128 and SIGHUP, SIGINT, SIGABRT, SIGKILL,
 * SIGSEGV, SIGTERM; 75 is EX_TEMPFAIL of sysexits.h.
 */
const passingExits = new Set<number | null>([75, 129, 130, 134, 137, 139, 143])

/** Whether a process was ended by a signal, or says itself that another try may help. */
export const endedBySignal = ({ code, signal }: Exit): boolean => signal !== null || passingExits.has(code)
