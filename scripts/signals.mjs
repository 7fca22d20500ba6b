/* Lets every script end when what started it ends, and end what it started. */
import { spawn } from 'node:child_process'
import { basename } from 'node:path'
import { isExecutable } from './environment.mjs'

const setpriv = '/usr/bin/setpriv'

/** A signal was taken: this process ends already. */
let isEnding = false

/**
 * Sends SIGTERM to this process when the one that started it is gone: a script of ours, by its IPC, or npm.
 * npm passes SIGTERM on, but nothing passes SIGKILL on.
 *
 * Any other parent may go, and its child goes on as a daemon.
 */
export function endWithParent () {
  // npm may go at a second Ctrl-C, while this process still answers what it has begun.
  const end = () => { if (!isEnding) process.kill(process.pid, 'SIGTERM') }
  process.once('disconnect', end)
  process.channel?.unref()
  // Programs that npm's script starts in its turn inherit the variable, and have another parent.
  if (!process.env.npm_lifecycle_script?.includes(basename(process.argv[1]))) return
  const parent = process.ppid
  const timer = setInterval(() => {
    if (process.ppid === parent) return
    clearInterval(timer)
    end()
  }, 500)
  timer.unref()
}

/**
 * Drops a signal that comes again at once. Ctrl-C reaches each process of the terminal, and npm passes on what it gets.
 * A person who means a second signal presses again. On a busy machine npm can take seconds to pass it on.
 */
export function dropRepeatedSignals (withinMs = 5_000) {
  const last = new Map()
  const emit = process.emit
  // Node binds `emit` when the first listener of a signal is added, so this must come before.
  process.emit = function (event, ...args) {
    if (event === 'SIGINT' || event === 'SIGTERM') {
      const now = performance.now()
      const isRepeated = now - (last.get(event) ?? -Infinity) < withinMs
      // A listener that is good once leaves nobody behind it, and then the next signal would kill this process.
      if (!last.has(event)) this.on(event, () => {})
      last.set(event, now)
      if (isRepeated) return true
      isEnding = true
    }
    return emit.call(this, event, ...args)
  }
}

/**
 * Starts a program that ends with this process. It has a process group of its own, so that a signal of the terminal
 * reaches it once, by way of this process.
 */
export function startTied (command, args, options) {
  const isTied = isExecutable(setpriv)
  return isTied
    ? spawn(setpriv, ['--pdeathsig', 'TERM', command, ...args], { detached: true, ...options })
    : spawn(command, args, { detached: true, ...options })
}
