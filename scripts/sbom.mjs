/*
 * Prints the bill of materials of what runs in production, as CycloneDX: npm's own, of a lockfile without development.
 *
 * `npm sbom --omit=dev` also leaves out what development needs beside production, half of the packages.
 */
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { root, stop } from './environment.mjs'

const read = name => JSON.parse(readFileSync(join(root, name), 'utf8'))
const withoutDevelopment = ({ devDependencies, ...others }) => others

const manifest = withoutDevelopment(read('package.json'))
const lock = read('package-lock.json')
const production = Object.entries(lock.packages).filter(([, { dev }]) => dev !== true)
lock.packages = Object.fromEntries(production.map(([path, entry]) => [path, withoutDevelopment(entry)]))

const folder = mkdtempSync(join(tmpdir(), 'mcp-sbom-'))
try {
  // npm takes the folder's name for that of the component.
  const project = join(folder, manifest.name)
  mkdirSync(project)
  writeFileSync(join(project, 'package.json'), JSON.stringify(manifest))
  writeFileSync(join(project, 'package-lock.json'), JSON.stringify(lock))
  const { status } = spawnSync('npm', ['sbom', '--package-lock-only', '--sbom-format=cyclonedx'], {
    cwd: project, stdio: ['ignore', 'inherit', 'inherit']
  })
  if (status !== 0) process.exitCode = 1
} catch (error) {
  stop(`There is no bill of materials: ${error.message}`)
} finally {
  rmSync(folder, { recursive: true })
}
