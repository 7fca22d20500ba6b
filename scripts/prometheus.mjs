/* Runs Debian's Prometheus, without installing it. */
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { unpackDebianPackage } from './debian.mjs'
import { root } from './environment.mjs'

const unpacked = join(root, '.data', 'prometheus')

/** The folder of `prometheus` and `promtool`; the package is unpacked below .data where they are nowhere. */
export function providePrometheus () {
  const folders = ['/usr/bin', '/usr/local/bin', join(unpacked, 'usr', 'bin')]
  const found = () => folders.find(folder => existsSync(join(folder, 'promtool')) && existsSync(join(folder, 'prometheus')))
  const folder = found()
  if (folder !== undefined) return folder
  unpackDebianPackage('prometheus', unpacked, 'There is no Prometheus.')
  const provided = found()
  if (provided === undefined) throw new Error('there is no Prometheus, and Debian\'s package cannot be had')
  return provided
}

/** Starts Prometheus on a port, with its data in a folder, and waits until it is ready. */
export async function startPrometheus ({ port, folder, targets, intervalMs = 1_000, rules = [] }) {
  const config = {
    global: { scrape_interval: `${intervalMs}ms`, evaluation_interval: `${intervalMs}ms` },
    rule_files: rules,
    scrape_configs: [{ job_name: 'mcp-client', static_configs: [{ targets }] }]
  }
  const file = join(folder, 'prometheus.json')
  await writeFile(file, JSON.stringify(config)) // JSON is YAML
  const child = spawn(join(providePrometheus(), 'prometheus'), [
    `--config.file=${file}`, `--storage.tsdb.path=${join(folder, 'data')}`, `--web.listen-address=127.0.0.1:${port}`,
    '--log.level=warn'
  ], { cwd: folder, stdio: ['ignore', 'inherit', 'inherit'] })
  const exited = new Promise(resolve => { child.once('exit', resolve) })
  const url = `http://127.0.0.1:${port}`
  const isReady = () => fetch(`${url}/-/ready`).then(({ ok }) => ok, () => false)
  for (let tries = 0; !await isReady(); tries++) {
    if (child.exitCode !== null || tries > 300) throw new Error('Prometheus did not start')
    await delay(100)
  }

  async function ask (path, parameters) {
    const response = await fetch(`${url}/api/v1/${path}?${new URLSearchParams(parameters)}`)
    const { status, data, error } = await response.json()
    if (status !== 'success') throw new Error(`Prometheus refused ${JSON.stringify(parameters)}: ${error}`)
    return data
  }

  return {
    url,
    /** The series of an expression now, each with its labels and its value. */
    async query (expression) {
      const { result } = await ask('query', { query: expression })
      return result.map(({ metric, value: [, text] }) => ({ labels: metric, value: Number(text) }))
    },
    /** The series over a span of time, each a list of points. */
    async queryRange (expression, { start, end, step }) {
      const { result } = await ask('query_range', { query: expression, start, end, step })
      return result.map(({ metric, values }) => ({
        labels: metric, points: values.map(([at, text]) => ({ at, value: Number(text) }))
      }))
    },
    targets: async () => (await ask('targets', {})).activeTargets,
    async stop () {
      child.kill('SIGTERM')
      await exited
    }
  }
}
