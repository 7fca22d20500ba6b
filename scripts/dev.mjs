/*
 * The service with reload: tsc builds at each change, fastify-cli restarts on what it built. The same pair as fastify-cli's
 * own TypeScript template; it needs no loader, and works on every Node that the service works on.
 */
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { checkNodeVersion, installDependencies, loadDotEnv, root, run } from './environment.mjs'
import { cliArguments } from './fastify-cli.mjs'

checkNodeVersion()
installDependencies()
loadDotEnv()
const bin = name => join(root, 'node_modules', '.bin', name)
run(bin('tsc'), [], 'The build failed.')

const children = [
  spawn(bin('tsc'), ['--watch', '--preserveWatchOutput'], { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] }),
  // A pattern that names .ts files makes fastify-cli watch dist/, which it passes over otherwise.
  spawn(bin('fastify'), ['start', '-w', '--ignore-watch', '.ts$ .data .tap examples test', '-P', '-l', 'debug', ...cliArguments(process.env), '--options', join('dist', 'app.js')], { cwd: root, stdio: 'inherit' })
]
const stopAll = () => children.forEach(child => child.kill('SIGTERM'))
for (const child of children) {
  child.once('exit', code => {
    process.exitCode ??= code ?? 0
    stopAll()
  })
}
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, stopAll)
