# One image, the role by the command: node dist/workers/NAME.js, or orderfleet's own commands.
FROM node:24-bookworm-slim AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci
COPY tsconfig.json tsconfig.build.json ./
COPY src src
COPY workers workers
RUN npm run build

FROM node:24-bookworm-slim
ENV NODE_ENV=production
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
# optional: the embedded Postgres' binaries, which a container has no use for
RUN npm ci --omit=dev --omit=optional && npm cache clean --force
COPY --from=build /app/dist dist
COPY drizzle drizzle
USER node
CMD ["node", "dist/src/cli/main.js", "--help"]
