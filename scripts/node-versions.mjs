/* Brings other versions of Node, from npm's package `node`, into a folder of their own outside the project. */
import { spawnSync } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { stop } from './environment.mjs'
import { outerEnvironment } from './try-service.mjs'

const cache = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'mcp-client-service', 'nodes')

/** Installs a version of Node unless it is there, and gives its binary and its exact version, like `v24.1.0`. */
export function provideNode (wanted) {
  const folder = join(cache, wanted)
  mkdirSync(folder, { recursive: true })
  const install = ['install', '--prefix', folder, '--no-audit', '--no-fund', '--loglevel=error', `node@${wanted}`]
  const { status } = spawnSync('npm', install, { cwd: folder, env: outerEnvironment(), stdio: ['ignore', 'ignore', 'inherit'] })
  const binary = join(folder, 'node_modules', 'node', 'bin', 'node')
  const asked = spawnSync(binary, ['--version'], { encoding: 'utf8' })
  if (asked.status !== 0) stop(`npm brought no Node ${wanted} (exit code ${status}).`)
  return { binary, version: asked.stdout.trim() }
}
