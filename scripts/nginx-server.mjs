/* Starts the real nginx with deploy/nginx.conf, of which nothing is changed but where things are. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, existsSync, readFileSync, writeFileSync } from 'node:fs'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { installDebianPackages } from './debian.mjs'
import { root } from './environment.mjs'
import { freePort, listens } from './ports.mjs'

const binaries = ['/usr/sbin/nginx', '/usr/bin/nginx', '/usr/local/bin/nginx', '/opt/homebrew/bin/nginx']

const findNginx = () => binaries.find(existsSync) ?? null

/** Path of nginx; installs Debian's package first where there is none and that is possible. `null` without one. */
export function provideNginx () {
  if (findNginx() === null) installDebianPackages(['nginx-light'], 'This runs nginx, and there is none.')
  return findNginx()
}

export const waysToGetNginx =
  'No nginx was found: install it (apt-get install nginx-light, dnf install nginx, brew install nginx).'

/**
 * Starts nginx in front of services at these ports of 127.0.0.1, on a free port. `folder` is for its files, and exists.
 */
export async function startNginx ({ folder, ports }) {
  const binary = findNginx()
  if (binary === null) throw new Error(waysToGetNginx)
  chmodSync(folder, 0o755)
  const listen = await freePort()
  const file = join(folder, 'nginx.conf')
  writeFileSync(file, configuration({ folder, ports, listen }))

  const child = spawn(binary, ['-c', file, '-g', 'daemon off;'], { stdio: ['ignore', 'ignore', 'pipe'] })
  let said = ''
  child.stderr.on('data', chunk => { said += chunk })
  const exited = once(child, 'exit')
  for (let waited = 0; !(await listens(listen)); waited += 20) {
    if (child.exitCode !== null || waited > 10_000) throw new Error(`nginx did not start: ${said}`)
    await delay(20)
  }
  return {
    url: `http://127.0.0.1:${listen}`,
    pid: child.pid,
    errorLog: () => readFileSync(join(folder, 'error.log'), 'utf8'),
    accessLog: () => readFileSync(join(folder, 'access.log'), 'utf8'),
    async stop () {
      child.kill('SIGTERM')
      await exited
    }
  }
}

function configuration ({ folder, ports, listen }) {
  const places = [
    ['user www-data;', `user ${userInfo().username};`],
    ['pid /run/mcp-client-nginx.pid;', `pid ${folder}/nginx.pid;`],
    ['error_log /var/log/nginx/error.log warn;', `error_log ${folder}/error.log warn;`],
    ['access_log /var/log/nginx/mcp-client.log service;', `access_log ${folder}/access.log service;`],
    ['client_body_temp_path /var/lib/nginx/body;', `client_body_temp_path ${folder}/body;`],
    // nginx makes the folders of its other modules also when nothing uses them.
    [
      'proxy_temp_path /var/lib/nginx/proxy;',
      ['proxy', 'fastcgi', 'uwsgi', 'scgi'].map(name => `${name}_temp_path ${folder}/${name};`).join(' ')
    ],
    ['listen 8080;', `listen 127.0.0.1:${listen};`]
  ]
  let text = readFileSync(join(root, 'deploy', 'nginx.conf'), 'utf8')
  for (const [from, to] of places) {
    if (text.split(from).length !== 2) throw new Error(`deploy/nginx.conf must have ${JSON.stringify(from)} once`)
    text = text.replace(from, to)
  }
  const server = /^( *server 127\.0\.0\.1:)\d+( [^\n]*;\n)/m
  const servers = /(^ *server 127\.0\.0\.1:\d+ [^\n]*;\n)+/gm
  const [, before, after] = server.exec(text) ?? []
  if (before === undefined || text.match(servers).length !== 1) {
    throw new Error('deploy/nginx.conf must have one list of servers')
  }
  return text.replace(servers, ports.map(port => `${before}${port}${after}`).join(''))
}
