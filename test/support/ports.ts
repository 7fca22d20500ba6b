export { freePort, listens } from '../../scripts/ports.mjs'
