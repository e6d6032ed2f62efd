// SPDX-License-Identifier: Apache-2.0

// MQTT.js as the clients of `scripts/soak cluster --clients mqttjs`: four publishers and four subscribers with a persistent
// session, all with the endpoints of three nodes. The file --phase has the fault of the moment, or "end".
'use strict'
const fs = require('fs')
const { parseArgs } = require('util')
const mqtt = require('mqtt')

const { values } = parseArgs({
  options: Object.fromEntries(
    ['ports', 'cafile', 'username', 'token', 'phase', 'rate'].map((name) => [name, { type: 'string' }]))
})
const ca = fs.readFileSync(values.cafile)
const ports = values.ports.split(',').map(Number)
const token = () => fs.readFileSync(values.token, 'utf8')
const phase = () => fs.readFileSync(values.phase, 'utf8') || 'none'

const figures = {}
let current = 'none'
let published = 0
let acknowledged = 0
let received = 0
let duplicates = 0
const stopped = []
const figuresNow = () => (figures[current] ??= { times: 0, longestGap: 0, attempts: 0, longestPublish: 0 })

const connect = (name, rotateBy) => {
  const servers = ports.map((_, index) => ({ host: 'localhost', port: ports[(index + rotateBy) % 3], protocol: 'mqtts' }))
  const client = mqtt.connect({
    servers, ca, clientId: name, clean: false, protocolVersion: 4, username: values.username, password: token(), keepalive: 5,
    connectTimeout: 5000, reconnectPeriod: 1000
  })
  let gapStart
  client.on('connect', () => {
    if (gapStart !== undefined) figuresNow().longestGap = Math.max(figuresNow().longestGap, Date.now() - gapStart)
    gapStart = undefined
  })
  client.on('close', () => {
    gapStart ??= Date.now()
    // The options are those of the next CONNECT.
    client.options.password = token()
  })
  client.on('reconnect', () => { figuresNow().attempts++ })
  client.on('error', (error) => { errors[error.message] = (errors[error.message] ?? 0) + 1 })
  client.on('end', () => { if (!isOver) stopped.push(name) })
  return client
}
const errors = {}
let isOver = false

// The deliveries of each message to each subscriber.
const seen = Array.from({ length: 4 }, () => new Map())
const waiting = new Set()

const subscribers = seen.map((deliveries, number) => {
  const client = connect(`peer-subscriber-${number}`, number)
  client.on('message', (topic, payload) => {
    const id = payload.toString()
    received++
    if (deliveries.has(id)) duplicates++
    deliveries.set(id, true)
  })
  return new Promise((resolve) => {
    // Its users do the same: a connection that ends before SUBACK is an error.
    const subscribe = () => client.subscribe('cluster/#', { qos: 1 }, (error) => {
      if (error) setTimeout(subscribe, 500)
      else resolve(client)
    })
    subscribe()
  })
})

const publish = (client, number, count) => {
  const id = `${number} ${count}`
  const start = Date.now()
  published++
  waiting.add(id)
  client.publish(`cluster/${number}`, id, { qos: 1 }, (error) => {
    waiting.delete(id)
    if (error) { errors[error.message] = (errors[error.message] ?? 0) + 1; return }
    acknowledged++
    figuresNow().longestPublish = Math.max(figuresNow().longestPublish, Date.now() - start)
  })
}

const lost = () => {
  let count = 0
  for (let number = 0; number < 4; number++) {
    for (let message = 0; message < counts[number]; message++) {
      for (const deliveries of seen) if (!deliveries.has(`${number} ${message}`)) count++
    }
  }
  return count
}
const counts = [0, 0, 0, 0]

const report = (clients) => {
  isOver = true
  console.log('| fault of a node | longest gap | attempts | longest publish |')
  console.log('| --- | ---: | ---: | ---: |')
  for (const [fault, of] of Object.entries(figures)) {
    console.log(`| ${fault} | ${of.longestGap / 1000} s | ${of.attempts} | ${of.longestPublish / 1000} s |`)
  }
  console.log(`published ${published}, acknowledged ${acknowledged}, received ${received}, ${duplicates} more than once, ` +
    `lost ${lost()}, without an answer ${waiting.size}, stopped ${stopped.length}`)
  console.log(`errors ${JSON.stringify(errors)}`)
  for (const client of clients) client.end(true)
  process.exit(0)
}

Promise.all(subscribers).then((listening) => {
  console.log('subscribed')
  const publishers = counts.map((_, number) => connect(`peer-publisher-${number}`, number))
  const start = Date.now()
  const publishing = setInterval(() => {
    const due = Math.floor((Date.now() - start) * Number(values.rate) / 1000)
    publishers.forEach((client, number) => { while (counts[number] < due) publish(client, number, counts[number]++) })
  }, 20)
  let settleUntil
  setInterval(() => {
    const now = phase()
    if (now !== 'end' && now !== current) current = now
    if (now === 'end' && settleUntil === undefined) {
      clearInterval(publishing)
      settleUntil = Date.now() + 120000
    }
    if (settleUntil !== undefined && ((waiting.size === 0 && lost() === 0) || Date.now() > settleUntil)) {
      report([...listening, ...publishers])
    }
  }, 200)
})
