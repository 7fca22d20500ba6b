/* Provides all that the tests need beyond the sources: dependencies, Redis, nginx, and the built service. */
import { build, checkNodeVersion, installDependencies, stop } from './environment.mjs'
import { provideNginx, waysToGetNginx } from './nginx-server.mjs'
import { provideRedisServer, waysToGetRedis } from './redis-server.mjs'

checkNodeVersion()
installDependencies()
if (provideRedisServer() === null) stop(waysToGetRedis)
if (provideNginx() === null) stop(waysToGetNginx)
build()
