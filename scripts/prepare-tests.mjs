/* Provides all that the tests need beyond the sources: dependencies, Redis, nginx, and the built service. */
import { existsSync } from 'node:fs'
import { installDebianPackages } from './debian.mjs'
import { build, checkNodeVersion, installDependencies, stop } from './environment.mjs'
import { provideRedisServer, waysToGetRedis } from './redis-server.mjs'

checkNodeVersion()
installDependencies()
if (provideRedisServer() === null) stop(waysToGetRedis)
if (
  !['/usr/sbin/nginx', '/usr/bin/nginx', '/usr/local/bin/nginx', '/opt/homebrew/bin/nginx'].some(existsSync) &&
  !installDebianPackages(['nginx-light'], 'The tests run nginx, and there is none.')
) {
  stop(
    'The tests run nginx, and none was found: install it (apt-get install nginx-light, dnf install nginx, brew install nginx).'
  )
}
build()
