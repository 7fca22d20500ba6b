/*
 * Installs the programs that this service is compared with, into a folder of their own: they are no part of the
 * project, and bring more than two hundred packages. What cannot be installed is missing from the comparison.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'

const names = ['mcp-hub', 'mcp-proxy', 'supergateway']
const folder = process.env.BENCH_PEERS_FOLDER ?? join(homedir(), '.cache', 'mcp-client-service', 'peers')

/** Of each peer its version and the script to run with Node; `null` for one that could not be installed. */
export function installPeers () {
  mkdirSync(folder, { recursive: true })
  const manifest = join(folder, 'package.json')
  if (!existsSync(manifest)) writeFileSync(manifest, '{ "private": true }\n')
  return Object.fromEntries(names.map(name => {
    if (find(name) === null) {
      console.error(`Installing ${name} into ${folder} …`)
      // Their scripts of installation are not run: nothing here needs them.
      spawnSync('npm', ['install', '--no-audit', '--no-fund', '--ignore-scripts', name], { cwd: folder, stdio: 'ignore' })
    }
    return [name, find(name)]
  }))
}

function find (name) {
  const file = join(folder, 'node_modules', name, 'package.json')
  if (!existsSync(file)) return null
  const { version, bin } = JSON.parse(readFileSync(file, 'utf8'))
  return { version, script: join(folder, 'node_modules', name, typeof bin === 'string' ? bin : bin[name]) }
}
