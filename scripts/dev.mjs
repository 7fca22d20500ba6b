/*
 * The service with reload: tsc builds at each change, and fastify-cli restarts the built service. fastify-cli's own
 * TypeScript template has the same pair. It needs no loader, and works on every Node that the service works on.
 */
import { spawn } from 'node:child_process'
import { watch } from 'node:fs'
import { join } from 'node:path'
import { checkNodeVersion, compile, copyLua, installDependencies, loadDotEnv, root } from './environment.mjs'
import { cliArguments } from './fastify-cli.mjs'

checkNodeVersion()
installDependencies()
loadDotEnv()
const bin = name => join(root, 'node_modules', '.bin', name)
compile()
// tsc watches only TypeScript.
watch(join(root, 'lib'), { recursive: true }, (event, file) => { if (file?.endsWith('.lua')) copyLua('dist') }).unref()

const children = [
  spawn(bin('tsc'), ['--watch', '--preserveWatchOutput'], { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] }),
  // A pattern that names .ts files makes fastify-cli watch dist/, which it passes over otherwise.
  spawn(bin('fastify'), [
    'start', '-w', '--ignore-watch', '.ts$ .data .tap examples test', '-P', '-l', 'debug',
    ...cliArguments(process.env), '--options', join('dist', 'app.js')
  ], { cwd: root, stdio: 'inherit' })
]
const stopAll = () => children.forEach(child => child.kill('SIGTERM'))
for (const child of children) {
  child.once('exit', code => {
    process.exitCode ??= code ?? 0
    stopAll()
  })
}
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, stopAll)
