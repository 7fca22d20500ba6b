/*
 * The service with reload: tsc builds at each change, and the service is started anew when the build has changed. It
 * needs no loader, and works on every Node that the service works on.
 *
 * fastify-cli's own `--watch` is not used: its service lives on when it is ended.
 */
import { once } from 'node:events'
import { existsSync, watch } from 'node:fs'
import { join } from 'node:path'
import {
  build, checkNodeVersion, copyLua, installDependencies, isReadAtRunTime, loadDotEnv, nodeOptions, root
} from './environment.mjs'
import { dropRepeatedSignals, endWithParent, startTied } from './signals.mjs'

checkNodeVersion()
installDependencies()
loadDotEnv()
dropRepeatedSignals()
build()

/** A build writes many files: the service starts anew when none has changed for so long. */
const calmMs = 300

let service
let isRestarting = false
let isStopping = false

const compiler = startTied(process.execPath, [
  join(root, 'node_modules', 'typescript', 'bin', 'tsc'), '--watch', '--preserveWatchOutput'
], { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] })
compiler.once('exit', () => stopAll(1))
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => stopAll(0))
endWithParent()

// tsc watches only TypeScript.
watch(join(root, 'lib'), { recursive: true }, (event, file) => { if (file && isReadAtRunTime(file)) copyLua('dist') }).unref()
let calm
watch(join(root, 'dist'), { recursive: true }, () => {
  clearTimeout(calm)
  calm = setTimeout(restart, calmMs)
})
start()

function start () {
  const command = [...nodeOptions, join(root, 'scripts', 'start.mjs'), '-P', ...process.argv.slice(2)]
  const started = startTied(process.execPath, command, {
    cwd: root,
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    env: { ...process.env, MCP_LOG_LEVEL: process.env.MCP_LOG_LEVEL || 'debug' }
  })
  service = started
  started.once('exit', () => {
    if (service === started) service = undefined
    if (!isStopping && !isRestarting) console.log('The service has ended. It starts again at the next change.')
  })
}

async function restart () {
  if (isStopping || isRestarting || !existsSync(join(root, 'dist', 'app.js'))) return
  isRestarting = true
  await end(service)
  isRestarting = false
  if (!isStopping) start()
}

async function stopAll (code) {
  if (isStopping) return
  isStopping = true
  await Promise.all([end(service), end(compiler)])
  process.exit(code)
}

async function end (child) {
  if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
  const exited = once(child, 'exit')
  child.kill('SIGTERM')
  await exited
}
