/*
 * Is loaded into a service by bench/budget.mjs, before anything else. It marks when calls pass from one phase to the
 * next, and counts turns of the event loop, writes, and allocated bytes.
 *
 * Of each mark it keeps the sum of the times: the sum of the ends less the sum of the beginnings is the time of a phase
 * over all calls, also when calls overlap, and nothing has to say which call a mark is of. That holds for a block of
 * calls that starts and ends with no call under way, in which each call passes each mark once.
 */
import { subscribe } from 'node:diagnostics_channel'
import fs from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import { Socket } from 'node:net'
import { performance, PerformanceObserver } from 'node:perf_hooks'

/** The marks of a call, in their order. A phase lasts from one to the next. */
const names = [
  'request', 'hooked', 'parsed', 'checked', 'load', 'loaded', 'call', 'tool', 'answered', 'write', 'written', 'reply',
  'sent', 'closed', 'logged'
]
const marks = Object.fromEntries(names.map(name => [name, { count: 0, sum: 0 }]))
let origin = 0

function mark (name) {
  const entry = marks[name]
  entry.count++
  entry.sum += performance.now() - origin
}

subscribe('http.server.request.start', ({ response }) => {
  mark('request')
  // It is the first listener, and the lines are written by those behind it.
  response.once('close', () => {
    mark('closed')
    process.nextTick(mark, 'logged')
  })
})
subscribe('http.server.response.finish', () => mark('sent'))

// Hooks that are added first, so each of them ends the phase before its own.
subscribe('fastify.initialization', ({ fastify }) => {
  fastify.addHook('preParsing', (request, reply, payload, done) => {
    mark('hooked')
    done()
  })
  for (const [hook, name] of [['preValidation', 'parsed'], ['preHandler', 'checked']]) {
    fastify.addHook(hook, (request, reply, done) => {
      mark(name)
      done()
    })
  }
  fastify.addHook('onSend', (request, reply, payload, done) => {
    mark('reply')
    done()
  })
})

for (const [phase, begin, end] of [
  ['session', 'load', 'loaded'], ['call', 'call'], ['tool', 'tool', 'answered'], ['write', 'write', 'written']
]) {
  subscribe(`tracing:mcp-client:${phase}:start`, () => mark(begin))
  if (end !== undefined) subscribe(`tracing:mcp-client:${phase}:asyncEnd`, () => mark(end))
}

const writes = { caller: 0, redis: 0, server: 0, log: 0 }
const parties = new WeakMap()

/** Whom a socket leads to, by the first that is written to it: a command of Redis begins with its count, as `*3`. */
function partyOf (socket, data) {
  let party = parties.get(socket)
  if (party === undefined) {
    party = socket.server ? 'caller' : String(data).startsWith('*') ? 'redis' : 'server'
    parties.set(socket, party)
  }
  return party
}

// A socket makes one system call of what is written to it at once.
for (const [method, firstOf] of [['_write', data => data], ['_writev', chunks => chunks[0].chunk]]) {
  const original = Socket.prototype[method]
  Socket.prototype[method] = function (data, ...rest) {
    writes[partyOf(this, firstOf(data))]++
    return original.call(this, data, ...rest)
  }
}

// The log of a pipe.
const { writeSync } = fs
fs.writeSync = (...args) => {
  writes.log++
  return writeSync(...args)
}
syncBuiltinESMExports()

let collections = 0
new PerformanceObserver(list => {
  // The one that a block begins with is heard of later, too.
  collections += list.getEntries().filter(({ startTime }) => startTime >= origin).length
}).observe({ entryTypes: ['gc'] })

/** What the process has done since its start. */
function countersOf () {
  const [, writeCalls] = /^syscw: (\d+)/m.exec(fs.readFileSync('/proc/self/io', 'latin1')) ?? [0, NaN]
  return {
    turns: performance.nodeTiming.uvMetricsInfo.loopCount,
    writeCalls: Number(writeCalls),
    heapBytes: process.memoryUsage().heapUsed,
    ...writes
  }
}

let before

/** A block begins: nothing is under way. */
function begin () {
  for (const name of names) marks[name] = { count: 0, sum: 0 }
  globalThis.gc?.()
  collections = 0
  origin = performance.now()
  before = countersOf()
}

/** A block is over once the lines of its last call are written. */
function end (calls) {
  if (marks.logged.count < calls) return setImmediate(end, calls)
  const after = countersOf()
  // The observer hears of a collection one turn later.
  setImmediate(() => process.send({
    marks,
    collections,
    counters: Object.fromEntries(Object.entries(after).map(([name, value]) => [name, value - before[name]]))
  }))
}

process.on('message', ({ probe, calls }) => {
  if (probe === 'begin') {
    begin()
    process.send({})
  } else if (probe === 'end') end(calls)
})
process.channel?.unref()
