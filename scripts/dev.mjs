/*
 * Runs the service with reload: tsc builds at each change, and fastify-cli restarts on the new build. fastify-cli's own
 * TypeScript template has the same pair. It needs no loader, and works on every Node that the service supports.
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
  // fastify-cli ignores dist/ by default. A pattern that names .ts files makes it watch that folder.
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
